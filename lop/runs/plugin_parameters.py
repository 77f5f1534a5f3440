"""Parameters that select plugins (user-defined classes) and the engine; see docs/extending.md."""

import ast
import re
from collections.abc import Mapping
from math import isfinite
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from lop.common.plugins import Plugin
from lop.common.sources import PLUMBING, definitions
from lop.runs.parameters import Parameters

# Plugins, with the number of arguments that their classes receive by position.
PLUGINS = {"callback": 1, "network": 2, "optimizer": 1}


def _scalar(value: Any) -> Any:
    """Convert numeric strings to floats, since YAML reads 1e-3 as a string."""
    if not isinstance(value, bool | int | float | str):
        raise ValueError("a number, a word, true or false")
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        return value
    if isinstance(number, float) and not isfinite(number):
        raise ValueError("a finite number, a word, true or false")
    return int(number) if isinstance(number, float) and number.is_integer() else number  # 1 and 1.0 select the same run


Settings = dict[str, Annotated[Any, BeforeValidator(_scalar)]]


class PluginParameters(Parameters):
    """Base class for the parameters of problems whose callback, network and optimizer may be user-defined."""

    learning_rate: ClassVar[str] = "step_size"  # field that an optimizer receives as `lr`
    network_keys: ClassVar[tuple[str, ...]] = ()  # fields of the built-in network, without effect if `network` is set

    callback: str | None = Field(
        None, description="<module>:<class> of your own callback, such as lop.algos.l2_init:L2Init"
    )
    callback_settings: Settings = Field(
        {}, validate_default=True, description="arguments of that class besides the network; lists are swept"
    )
    network: str | None = Field(None, description="<module>:<class> of your own network")
    network_settings: Settings = Field(
        {},
        validate_default=True,
        description="arguments of that class besides inputs and outputs; lists are swept",
    )
    optimizer: str | None = Field(None, description="<module>:<class> of your own optimizer, instead of `opt`")
    optimizer_settings: Settings = Field(
        {}, validate_default=True, description="arguments of that class besides parameters and lr; lists are swept"
    )

    @field_validator(*PLUGINS)
    @classmethod
    def _is_there(cls, name: str | None) -> str | None:
        if name is None:
            return None
        if not re.fullmatch(r"lop(\.\w+)+:\w+", name):
            raise ValueError("<module>:<class> with a module inside lop")
        module, _, class_name = name.partition(":")
        if f"{module}.".startswith(tuple(f"{package}." for package in PLUMBING)):
            raise ValueError(f"a module outside {' and '.join(PLUMBING)}, whose code is not part of a run's identity")
        try:
            classes = [one.name for one in definitions(module, ast.ClassDef)]
        except FileNotFoundError:
            raise ValueError(f"<module>:<class> of an existing module, which {module} is not") from None
        except SyntaxError as error:
            raise ValueError(f"a module without syntax errors (line {error.lineno}: {error.msg})") from None
        if class_name not in classes:
            raise ValueError(f"a class of {module}: {', '.join(classes) or 'it has none'}")
        return name

    @field_validator(*(f"{key}_settings" for key in PLUGINS))
    @classmethod
    def _fit(cls, settings: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        key = str(info.field_name).removesuffix("_settings")
        if key not in info.data:
            return settings
        name = info.data[key]
        if name is None and settings:
            raise ValueError(f"none without `{key}`")
        if key == "optimizer" and "lr" in settings:
            raise ValueError(f"settings without lr, which is set by `{cls.learning_rate}`")
        init = _init(name) if name else None
        if init is None:
            return settings
        needed, optional = _arguments(init, PLUGINS[key])
        if key == "optimizer" and "lr" not in needed | optional and not init.args.kwarg:
            raise ValueError(f"settings of a class that accepts lr, which {name} does not")
        given = {"lr"} if key == "optimizer" else set()
        for setting in settings:
            if setting not in needed | optional and not init.args.kwarg:
                allowed = ", ".join(sorted(needed | optional)) or "none"
                raise ValueError(f"settings of {name}: {allowed}")
        if missing := needed - set(settings) - cls._fillers() - given:
            raise ValueError(f"with {', '.join(sorted(missing))}, which {name} needs")
        return settings

    @classmethod
    def _fillers(cls) -> set[str]:
        """Return the keys that fill required arguments of the same name."""
        return {key for key in cls.model_fields if key.removesuffix("_settings") not in PLUGINS}

    @property
    def has_plugin(self) -> bool:
        """Whether a plugin is selected."""
        return any(getattr(self, key) for key in PLUGINS)

    def plugin(self, key: str) -> Plugin | None:
        """Return the plugin that `callback`, `network` or `optimizer` selects, if any."""
        name = getattr(self, key)
        if name is None:
            return None
        fillers = {field: getattr(self, field) for field in self._fillers()}
        always = {"lr": fillers[self.learning_rate]} if key == "optimizer" else {}
        return Plugin(key, name, getattr(self, f"{key}_settings"), fillers, always)

    def refuse_with(self, plugin: str, *keys: str) -> None:
        """Raise ValueError if a plugin replaces what a parameter selects, but the parameter does not have its default.

        A parameter that fills a required argument of the plugin may have any value.
        """
        for key in keys:
            default, found = type(self).model_fields[key].default, getattr(self, key)
            if getattr(self, plugin) and found != default and key not in self._filled(plugin):
                raise ValueError(f"key `{key}`: found {found!r}, allowed: {default!r} with `{plugin}`")

    def _filled(self, plugin: str) -> set[str]:
        """Return the keys that may fill required arguments of a plugin; all of them if its `__init__` is inherited."""
        init = _init(getattr(self, plugin))
        if init is None:
            return self._fillers()
        return _arguments(init, PLUGINS[plugin])[0] - set(getattr(self, f"{plugin}_settings"))

    def identity(self, device: str) -> dict[str, Any]:
        """Return the parameters that affect results, without those of the network that a plugin replaces."""
        unused = set(self.network_keys) - self._filled("network") if self.network else set()
        return {key: value for key, value in super().identity(device).items() if key not in unused}

    def modules(self, device: str) -> tuple[str, ...]:
        """Return the modules that the run imports by name, including those of the plugins."""
        names = (getattr(self, key) for key in PLUGINS)
        return (*super().modules(device), *(name.partition(":")[0] for name in names if name))


class EngineParameters(PluginParameters):
    """Base class for the parameters of problems that have a reference in PyTorch and a compiled engine.

    Plugins run on the reference.
    """

    engines: ClassVar[Mapping[str, str]]  # module of `reference` and of `compiled`, imported by name
    compiled_devices: ClassVar[tuple[str, ...]] = ("cpu",)  # kinds of devices on which `auto` selects `compiled`

    engine: Literal["auto", "reference", "compiled"] = Field(
        "auto",
        description="PyTorch (reference), or compiled for the CPU; auto: compiled if it supports the parameters",
    )

    def needs_of_compiled(self) -> dict[str, tuple[bool, str]]:
        """Return {key: (whether the compiled engine supports its value, the supported values)}."""
        return {key: (getattr(self, key) is None, "none") for key in PLUGINS}

    @property
    def not_compiled(self) -> str | None:
        """First key whose value the compiled engine does not support, with the supported values; or None."""
        needs = self.needs_of_compiled().items()
        return next((f"{key}: {allowed}" for key, (holds, allowed) in needs if not holds), None)

    @model_validator(mode="after")
    def _is_supported(self) -> "EngineParameters":
        if self.engine == "compiled" and self.not_compiled:
            raise ValueError(f"key `engine`: found compiled, which needs {self.not_compiled}; allowed: auto, reference")
        return self

    def engine_on(self, device: str) -> str:
        """Return the engine, `reference` or `compiled`, that the run uses on a device."""
        if self.engine != "auto":
            return self.engine
        supported = device.partition(":")[0] in self.compiled_devices and not self.not_compiled
        return "compiled" if supported else "reference"

    def modules(self, device: str) -> tuple[str, ...]:
        """Return the modules that the run imports by name: those of the plugins and of the engine."""
        return (*super().modules(device), self.engines[self.engine_on(device)])

    def identity(self, device: str) -> dict[str, Any]:
        """Return the parameters that affect results, with `engine` resolved."""
        return super().identity(device) | {"engine": self.engine_on(device)}


def _init(name: str) -> ast.FunctionDef | None:
    """Return the `__init__` that a class defines; None if it is inherited and can only be checked by calling it."""
    module, _, class_name = name.partition(":")
    kind = next(one for one in definitions(module, ast.ClassDef) if one.name == class_name)
    return next((one for one in kind.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)


def _arguments(init: ast.FunctionDef, positional: int) -> tuple[set[str], set[str]]:
    """Return the required and the optional arguments of an `__init__` after `self` and the positional ones."""
    plain = [argument.arg for argument in (*init.args.posonlyargs, *init.args.args)][1 + positional :]
    defaults = len(init.args.defaults)
    named = dict(zip((one.arg for one in init.args.kwonlyargs), init.args.kw_defaults, strict=True))
    optional = {*plain[max(len(plain) - defaults, 0) :], *(key for key, default in named.items() if default)}
    return {*plain, *named} - optional, optional
