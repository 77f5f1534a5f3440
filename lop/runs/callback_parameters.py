"""Parameters that select a user-defined callback; see docs/extending.md."""

import ast
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from lop.common.sources import definitions
from lop.runs.parameters import Parameters


def _scalar(value: Any) -> Any:
    """Convert numeric strings to floats, since YAML reads 1e-3 as a string."""
    if not isinstance(value, bool | int | float | str):
        raise ValueError("a number, a word, true or false")
    try:
        number = float(value) if isinstance(value, str) else value
    except ValueError:
        return value
    return int(number) if isinstance(number, float) and number.is_integer() else number  # 1 and 1.0 are the same run


class CallbackParameters(Parameters):
    """Base class for the parameters of problems that support callbacks, whose networks are trained with torch."""

    callback: str | None = Field(
        None, description="<module>:<class> of a user-defined callback, such as lop.algos.l2_init:L2Init"
    )
    callback_settings: dict[str, Annotated[bool | int | float | str, BeforeValidator(_scalar)]] = Field(
        {}, validate_default=True, description="arguments of the class besides the network; lists are swept"
    )

    @field_validator("callback")
    @classmethod
    def _is_there(cls, name: str | None) -> str | None:
        if name is None:
            return None
        if not re.fullmatch(r"lop(\.\w+)+:\w+", name):
            raise ValueError("<module>:<class>, of a module below lop")
        module, _, class_name = name.partition(":")
        try:
            classes = [one.name for one in definitions(module, ast.ClassDef)]
        except FileNotFoundError:
            raise ValueError(f"<module>:<class> of an existing module, which {module} is not") from None
        if class_name not in classes:
            raise ValueError(f"a class of {module}: {', '.join(classes) or 'it has none'}")
        return name

    @field_validator("callback_settings")
    @classmethod
    def _fit(cls, settings: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "callback" not in info.data:
            return settings
        name = info.data["callback"]
        if name is None and settings:
            raise ValueError("none without `callback`")
        init = _init(name) if name else None
        if init is None:
            return settings
        needed, optional = _arguments(init)
        for key in settings:
            if key not in needed | optional and not init.args.kwarg:
                allowed = ", ".join(sorted(needed | optional)) or "none"
                raise ValueError(f"settings of {name}: {allowed}")
        if missing := needed - set(settings):
            raise ValueError(f"with {', '.join(sorted(missing))}, which {name} needs")
        return settings

    def modules(self, device: str) -> tuple[str, ...]:
        """Return the modules that the run imports by name, including the module of the callback."""
        return (*super().modules(device), *([self.callback.partition(":")[0]] if self.callback else []))


def _init(name: str) -> ast.FunctionDef | None:
    """Return the `__init__` that a class defines; None if it is inherited and can only be checked by calling it."""
    module, _, class_name = name.partition(":")
    kind = next(one for one in definitions(module, ast.ClassDef) if one.name == class_name)
    return next((one for one in kind.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)


def _arguments(init: ast.FunctionDef) -> tuple[set[str], set[str]]:
    """Return the required and the optional arguments that an `__init__` takes after the network."""
    plain = [argument.arg for argument in (*init.args.posonlyargs, *init.args.args)][2:]
    defaults = len(init.args.defaults)
    named = dict(zip((one.arg for one in init.args.kwonlyargs), init.args.kw_defaults, strict=True))
    optional = {*plain[len(plain) - defaults :], *(key for key, default in named.items() if default)}
    return {*plain, *named} - optional, optional
