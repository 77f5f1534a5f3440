"""Typed parameters of a problem: read from cfg files, overridden, swept and validated, with one-line errors."""

import hashlib
import itertools
import re
import types
import typing
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from lop.common.errors import InputError, hint
from lop.common.paths import shown
from lop.data.formats import IMAGENET_CLASSES


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number")
    try:
        too_large = LARGEST < abs(float(value)) < float("inf")  # infinity itself is refused later
    except OverflowError:  # an integer
        too_large = True
    except (TypeError, ValueError):
        return value  # refused later
    if too_large:
        raise ValueError(f"a number of size up to {LARGEST:g}")
    return value


def _whole(value: Any) -> Any:
    """Convert to an integer; YAML reads 1e8 as a string and 1e+8 as a float, and both are accepted."""
    try:
        number = float(_number(value))
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a whole number") from None
    if number != number or number in (float("inf"), float("-inf")) or int(number) != number:
        raise ValueError("a whole number")
    return int(value) if isinstance(value, int) else int(number)


LARGEST = 1e15  # largest number in a configuration file: a double represents integers exactly up to 9e15
MOST_VALUES = 100_000  # of a configuration file, counting a value again wherever an alias repeats it
DEEPEST = 50  # levels of nesting in a configuration file
LONGEST_NAME = 200  # maximum length of a folder name in bytes; file systems allow 255
Number = Annotated[float, BeforeValidator(_number)]
Whole = Annotated[int, BeforeValidator(_whole)]
Utility = Literal[  # as in `lop.algos.utilities`, which this module must not import
    "contribution",
    "zero_contribution",
    "adaptable_contribution",
    "feature_by_input",
    "weight",
    "adaptation",
    "random",
]


class Strict(BaseModel):
    """Contents of a configuration file: unknown keys, NaN and infinity are errors, and values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Parameters(Strict):
    """Base class of a problem's parameters: one field per key, with its description, unit, default and range.

    A list of values is swept (see `settings_of`) unless the field itself is a list.
    """

    horizon: ClassVar[str] = ""  # field with the length of the run; a longer run continues a shorter one
    cosmetic: ClassVar[frozenset[str]] = frozenset()  # fields that affect no result
    named_by: ClassVar[tuple[str, ...]] = ()  # fields in the readable part of a run's path

    def modules(self, device: str) -> tuple[str, ...]:
        """Return modules that a run imports by name on a kind of device, besides the imports of its entry module."""
        return ()

    def value(self, key: str) -> Any:
        """Return the value of a (dotted) key."""
        mapping, _, name = key.rpartition(".")
        return getattr(self, mapping)[name] if mapping else getattr(self, key)

    def identity(self, device: str) -> dict[str, Any]:
        """Return all parameters that affect results on a kind of device, as plain JSON values."""
        return self.model_dump(mode="json", exclude=set(self.cosmetic))

    def classes(self, seed: int) -> Iterable[int]:
        """Return the ImageNet classes that the run with a seed learns from, if the problem uses ImageNet."""
        return range(IMAGENET_CLASSES)

    def with_length(self, length: int) -> Self | None:
        """Return the same parameters with another length; None if it is impossible, such as a fraction of a task."""
        try:
            return checked(type(self), self.model_dump(exclude_unset=True) | {self.horizon: length}, self.horizon)
        except InputError:
            return None

    def inputs(self, seed: int) -> dict[str, list[float]]:
        """Return the inputs of the run with a seed besides its parameters, by name."""
        return {}


def read_mapping(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        InputError: the file is missing, unreadable or not a YAML mapping.
    """
    try:
        content = parsed(path.read_text("utf-8"))
    except FileNotFoundError:
        near = hint(path.name, (other.name for other in path.parent.glob("*")))
        raise InputError(f"{shown(path)}: no such file{near}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{shown(path)}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{shown(path)}: not valid YAML: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"{shown(path)}: found {type(content).__name__}, allowed: `key: value` lines")
    return content


@cache
def parsed(text: str) -> Any:
    """Parse YAML; each text once, since scale and figure files are read many times. Do not modify the result.

    Raises:
        YAMLError: the text is not valid YAML, or its contents are too large, too deep or contain control characters.
    """
    try:
        content = yaml.load(text, _UniqueKeyLoader)  # a SafeLoader
    except yaml.YAMLError:
        raise
    except Exception as error:  # values such as 2020-99-99 and deep nesting make the loader raise anything
        raise yaml.YAMLError(str(error)) from None
    _check_contents(content)
    return content


def _check_contents(content: Any) -> None:
    """Raise YAMLError if the content is nested too deeply, as by an alias of itself, or expands to too many values.

    Also refuse control characters and surrogates. YAML allows them only as escapes, and few files may contain them.
    """
    level, count = [content], 0
    for _ in range(DEEPEST):
        count += len(level)
        if count > MOST_VALUES:
            raise yaml.YAMLError(f"more than {MOST_VALUES:,} values")
        for one in level:
            if isinstance(one, str) and (found := yaml.reader.Reader.NON_PRINTABLE.search(one)):
                raise yaml.YAMLError(f"found {found[0]!a}, allowed: printable characters")
        level = [value for one in level if isinstance(one, dict | list) for value in _values(one)]
        if not level:
            return
    raise yaml.YAMLError(f"more than {DEEPEST} levels")


def _values(one: dict | list) -> Iterable[Any]:
    return [*one, *one.values()] if isinstance(one, dict) else one


class _UniqueKeyLoader(yaml.SafeLoader):
    """Loader that rejects duplicate keys instead of keeping the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"duplicate key {key!r}", node.start_mark)
        return super().construct_mapping(node, deep)


Model = TypeVar("Model", bound=BaseModel)


def checked(
    model: type[Model], values: Mapping[str, Any], source: str, replaced: Mapping[str, str] | None = None
) -> Model:
    """Validate `values` and return them as a `model`.

    Args:
        model: class of the result.
        values: mapping to validate.
        source: where the values come from, for error messages.
        replaced: {key: source} of the values that come from elsewhere.

    Raises:
        InputError: a value is invalid; the message names the source, the key, and the found and allowed values.
    """
    try:
        return model(**{str(key): value for key, value in values.items()})
    except ValidationError as error:
        # Report a misspelt key before the key that is missing because of it.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        named = first["loc"][:1] or [key for key in re.findall(r"\w+", first["msg"]) if key in model.model_fields]
        origin = " with ".join(dict.fromkeys((replaced or {}).get(str(key), source) for key in named)) or source
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise InputError(f"{origin}: {_one_line(model, first)}{more}") from None


def _one_line(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"unknown key `{key}`, allowed: {', '.join(model.model_fields)}{hint(key, model.model_fields)}"
    if error["type"] == "missing":
        return f"key `{key}` is missing"
    allowed = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("Input is not ")
    found = shown(error["input"]) if isinstance(error["input"], Path) else error["input"]
    return f"key `{key}`: found {found!r}, allowed: {allowed}" if key else allowed


def _options(model: type[Parameters], key: str) -> tuple[Any, ...]:
    """Return the types allowed for a field."""
    annotation = model.model_fields[key].annotation
    return typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)


def _is_list_field(model: type[Parameters], key: str) -> bool:
    return any(typing.get_origin(option) in (list, tuple) for option in _options(model, key))


def located(model: type[Parameters], values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return `values` with relative paths, including swept ones, resolved against `folder`."""

    def path(value: Any) -> Any:
        if isinstance(value, list):
            return [path(one) for one in value]
        return folder.absolute() / value if isinstance(value, str) else value

    paths = {key for key in model.model_fields if Path in _options(model, key)}
    return {key: path(value) if key in paths else value for key, value in values.items()}


def swept(model: type[Parameters], cfg: Mapping[str, Any]) -> dict[str, list]:
    """Return the keys of a cfg with a list as value whose field is not a list.

    A key inside a mapping is named `<key of the mapping>.<key>`.
    """
    values = {key: value for key, value in cfg.items() if key in model.model_fields and not _is_list_field(model, key)}
    inside = {
        f"{key}.{name}": value
        for key, mapping in values.items()
        if isinstance(mapping, dict)
        for name, value in mapping.items()
    }
    return {key: value for key, value in (values | inside).items() if isinstance(value, list)}


def settings_of(model: type[Parameters], cfg: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the points of a cfg's sweep: the product over all keys that are `swept`."""
    keys = swept(model, cfg)
    return [dict(zip(keys, point, strict=True)) for point in itertools.product(*keys.values())]


def at(cfg: Mapping[str, Any], point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a cfg at a point of its sweep."""
    values = dict(cfg)
    for key, value in point.items():
        mapping, _, name = key.rpartition(".")
        values |= {mapping: values[mapping] | {name: value}} if mapping else {key: value}
    return values


def setting_name(point: Mapping[str, Any]) -> str:
    """Return a name for a point of a sweep: `default`, or `step_size=0.01,opt=adam`; long names end with a digest."""
    name = ",".join(f"{key.rpartition('.')[2]}={_text(value)}" for key, value in point.items()) or "default"
    if len(name.encode()) <= LONGEST_NAME:
        return name
    beginning = name.encode()[: LONGEST_NAME - 20].decode(errors="ignore")
    return f"{beginning}...{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _text(value: Any) -> str:
    value = value.name if isinstance(value, Path) else value
    if isinstance(value, Mapping):
        return "+".join(f"{key}={_text(one)}" for key, one in value.items())
    try:
        number = float(value)  # also converts strings: YAML reads 1e-3 as a string
        text = str(value) if isinstance(value, bool) else _number_text(number)
    except (TypeError, ValueError, OverflowError):
        text = str(value)
    return text.replace("/", "_").replace(" ", "").replace(",", "+")


def _number_text(number: float) -> str:
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    return f"{number:g}" if float(f"{number:g}") == number else str(number)
