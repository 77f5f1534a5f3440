"""Plugins: user-defined code that a cfg file or an option selects by `<module>:<name>`. See docs/extending.md."""

import importlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from lop.common.errors import InputError


@dataclass(frozen=True)
class Plugin:
    """A user-defined class and the arguments that a cfg file provides for it."""

    key: str  # key of the cfg file that selects the class: `callback`, `network` or `optimizer`
    name: str  # <module>:<class>
    settings: Mapping[str, Any]  # arguments by name
    parameters: Mapping[str, Any]  # further keys of the cfg file, for required arguments of the same name
    always: Mapping[str, Any]  # further arguments, which the class must accept

    def create(self, base: type, *arguments: Any) -> Any:
        """Create an instance.

        Args:
            base: class of which the plugin must be a subclass.
            arguments: first positional arguments of the class.

        Raises:
            InputError: the plugin is not a subclass of `base`, is abstract, or rejects its arguments.
        """
        kind = imported(self.key, self.name)
        if not (inspect.isclass(kind) and issubclass(kind, base)):
            allowed = f"{base.__module__}.{base.__name__}"
            raise InputError(f"{self.key}: found {self.name}, allowed: a subclass of {allowed}")
        if inspect.isabstract(kind):
            missing = ", ".join(sorted(kind.__abstractmethods__))  # type: ignore[attr-defined]
            raise InputError(f"{self.key}: found {self.name}, missing: {missing}")
        signature = inspect.signature(kind)
        named = self._named(signature)
        try:
            signature.bind(*arguments, **named)
        except TypeError as error:
            raise InputError(f"{self.key}: {self.name}: {self.key}_settings: {error}") from None
        try:
            return kind(*arguments, **named)
        except (TypeError, ValueError) as error:
            raise InputError(f"{self.key}: {self.name}: {_text(error)}") from error

    def _named(self, signature: inspect.Signature) -> dict[str, Any]:
        required = {name for name, one in signature.parameters.items() if one.default is one.empty}
        from_cfg = {name: value for name, value in self.parameters.items() if name in required}
        return from_cfg | dict(self.always) | dict(self.settings)


def imported(key: str, name: str) -> Any:
    """Import a user's object.

    Args:
        key: key or option that selects the object, for error messages.
        name: `<module>:<name>`.

    Raises:
        InputError: it cannot be imported.
    """
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # a user's module may raise anything
        raise InputError(f"{key}: {name}: cannot be imported: {_text(error)}") from error


@contextmanager
def blamed(key: str, name: str) -> Iterator[None]:
    """Convert all errors of a user's code that runs in the block.

    Args:
        key: key or option that selects the code, for error messages.
        name: `<module>:<name>`.

    Raises:
        InputError: the code raised an error.
    """
    try:
        yield
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        raise InputError(f"{key}: {name}: {_text(error)}") from error


def _text(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
