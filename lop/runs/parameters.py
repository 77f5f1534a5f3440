"""Typed parameters of a problem: read from a cfg file, checked, swept, overridden; each mistake is told in one line."""

import difflib
import hashlib
import itertools
import re
import types
import typing
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from lop.common.errors import InputError
from lop.common.paths import shown
from lop.data.formats import CLASSES


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("a number")
    return value


def _whole(value: Any) -> Any:
    """YAML reads 1e8 as a string, and 1e+8 as a float: both may stand for a whole number."""
    try:
        number = float(_number(value))
    except (TypeError, ValueError, OverflowError):
        raise ValueError("a whole number") from None
    if number != number or number in (float("inf"), float("-inf")) or int(number) != number:
        raise ValueError("a whole number")
    return int(value) if isinstance(value, int) else int(number)


LONGEST_NAME = 200  # of a folder, in bytes; file systems take 255
Number = Annotated[float, BeforeValidator(_number)]
Whole = Annotated[int, BeforeValidator(_whole)]
Utility = Literal[  # of `lop.algos.utilities`, which this module does not know
    "contribution",
    "zero_contribution",
    "adaptable_contribution",
    "feature_by_input",
    "weight",
    "adaptation",
    "random",
]


class Parameters(BaseModel):
    """Base of a problem's parameters: one field a key, each with its description, unit, default and range.

    Lists are swept (see `settings_of`) unless the field itself is a list.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    horizon: ClassVar[str] = ""  # the field that says how long a run is: a longer run continues a shorter one
    cosmetic: ClassVar[frozenset[str]] = frozenset()  # fields whose values no result depends on
    named_by: ClassVar[tuple[str, ...]] = ()  # fields in the readable part of a run's path

    @property
    def modules(self) -> tuple[str, ...]:
        """Modules that the run imports by name, beyond those that its entry module imports."""
        return ()

    def value(self, key: str) -> Any:
        """Return the value of a (dotted) key."""
        mapping, _, name = key.rpartition(".")
        return getattr(self, mapping)[name] if mapping else getattr(self, key)

    def identity(self) -> dict[str, Any]:
        """Return all parameters that a run's result depends on, as plain JSON values."""
        return self.model_dump(mode="json", exclude=set(self.cosmetic))

    def classes(self, seed: int) -> Iterable[int]:
        """Return the classes of ImageNet that a run of that seed learns from, if it does."""
        return range(CLASSES)

    def inputs(self, seed: int) -> dict[str, list[float]]:
        """Return the numbers that the run of a seed is given beside its parameters, by name."""
        return {}


def read_mapping(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file; InputError if there is no such file, or something else in it."""
    try:
        content = _parsed(path.read_text())
    except FileNotFoundError:
        near = difflib.get_close_matches(path.name, [p.name for p in path.parent.glob("*")], n=1)
        raise InputError(f"{shown(path)}: no such file" + (f"; did you mean {near[0]}?" if near else "")) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{shown(path)}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{shown(path)}: not valid YAML: {' '.join(str(error).split())}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"{shown(path)}: found {type(content).__name__}, allowed: `key: value` lines")
    return content


@cache
def _parsed(text: str) -> Any:
    """Once a text: files of scales and figures are asked for again and again, and nobody changes what is in them."""
    return yaml.load(text, _UniqueKeyLoader)  # a SafeLoader


class _UniqueKeyLoader(yaml.SafeLoader):
    """A key that stands twice is a mistake, not the last one's victory."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"key {key!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


Model = TypeVar("Model", bound=BaseModel)


def checked(
    model: type[Model], values: Mapping[str, Any], source: str, replaced: Mapping[str, str] | None = None
) -> Model:
    """`values` as a `model`; the first mistake becomes an InputError that names source, key, found and allowed.

    `replaced` names the source of those keys that do not come from `source`.
    """
    try:
        return model(**{str(key): value for key, value in values.items()})
    except ValidationError as error:
        # A misspelt key comes before the key that is missing because of it.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        named = first["loc"][:1] or [key for key in re.findall(r"\w+", first["msg"]) if key in model.model_fields]
        origin = " with ".join(dict.fromkeys((replaced or {}).get(str(key), source) for key in named)) or source
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise InputError(f"{origin}: {_one_line(model, first)}{more}") from None


def _one_line(model: type[BaseModel], error: Mapping[str, Any]) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        near = difflib.get_close_matches(key, list(model.model_fields), n=1)
        hint = f"did you mean `{near[0]}`? " if near else ""
        return f"unknown key `{key}`; {hint}allowed: {', '.join(model.model_fields)}"
    if error["type"] == "missing":
        return f"key `{key}` is missing"
    allowed = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ").removeprefix("Input is not ")
    found = shown(error["input"]) if isinstance(error["input"], Path) else error["input"]
    return f"key `{key}`: found {found!r}, allowed: {allowed}" if key else allowed


def _options(model: type[Parameters], key: str) -> tuple[Any, ...]:
    """The types that a field may have."""
    annotation = model.model_fields[key].annotation
    return typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)


def _is_list_field(model: type[Parameters], key: str) -> bool:
    return any(typing.get_origin(option) in (list, tuple) for option in _options(model, key))


def located(model: type[Parameters], values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """`values` with the paths among them, swept ones too, from `folder`."""

    def path(value: Any) -> Any:
        if isinstance(value, list):
            return [path(one) for one in value]
        return folder.absolute() / value if isinstance(value, str) else value

    paths = {key for key in model.model_fields if Path in _options(model, key)}
    return {key: path(value) if key in paths else value for key, value in values.items()}


def settings_of(model: type[Parameters], cfg: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The points of a cfg's sweep: the product of all keys whose value is a list but whose field is none.

    A key inside a mapping is `<the mapping's key>.<its own>`.
    """
    values = {key: value for key, value in cfg.items() if key in model.model_fields and not _is_list_field(model, key)}
    inside = {
        f"{key}.{name}": value
        for key, mapping in values.items()
        if isinstance(mapping, dict)
        for name, value in mapping.items()
    }
    swept = {key: value for key, value in (values | inside).items() if isinstance(value, list)}
    return [dict(zip(swept, point, strict=True)) for point in itertools.product(*swept.values())]


def at(cfg: Mapping[str, Any], point: Mapping[str, Any]) -> dict[str, Any]:
    """A cfg's values at a point of its sweep."""
    values = dict(cfg)
    for key, value in point.items():
        mapping, _, name = key.rpartition(".")
        values |= {mapping: values[mapping] | {name: value}} if mapping else {key: value}
    return values


def setting_name(point: Mapping[str, Any]) -> str:
    """A folder name for a point of a sweep: `default`, or `step_size=0.01,opt=adam`. A digest ends too long ones."""
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
        number = float(value)  # of a word too: YAML reads 1e-3 as one
        text = str(value) if isinstance(value, bool) else _number_text(number)
    except (TypeError, ValueError, OverflowError):
        text = str(value)
    return text.replace("/", "_").replace(" ", "").replace(",", "+")


def _number_text(number: float) -> str:
    if number.is_integer() and abs(number) < 1e15:
        return str(int(number))
    return f"{number:g}" if float(f"{number:g}") == number else str(number)
