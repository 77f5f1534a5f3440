"""The code that a run executes, and its digest: the modules that an entry module imports, transitively, inside lop.

Imports are read from the syntax tree, nothing is executed. Comments, docstrings and blank lines do not count: changing
them makes no result stale.
"""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TypeVar

from lop.common.paths import ROOT

PACKAGE = "lop"
Definition = TypeVar("Definition", ast.ClassDef, ast.FunctionDef)


def digest(entry: str, comments: bool = False) -> str:
    """Digest of everything that the module `entry` (dotted name) imports inside lop, itself included.

    With `comments`, every character of the files counts.
    """
    return combined(sources(entry, comments=comments))


def combined(parts: dict[str, str]) -> str:
    """One digest of {module: digest}."""
    text = "\n".join(f"{module} {part}" for module, part in sorted(parts.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def sources(*entries: str, comments: bool = False) -> dict[str, str]:
    """{module: digest of its code} for what `entries` import inside lop, themselves and packages included."""
    found: dict[str, str] = {}
    waiting = list(entries)
    while waiting:
        module = waiting.pop()
        path = source_file(module)
        if path is None or module in found:
            continue
        text = path.read_text()
        imports, code = _parsed(text, module, is_package=path.name == "__init__.py")
        found[module] = hashlib.sha256(text.encode()).hexdigest() if comments else code
        waiting += _parents(module) + imports
    return found


def source_file(module: str) -> Path | None:
    """Where a module of the project stands, by its dotted name; None if there is no such module."""
    base = ROOT.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def definitions(module: str, kind: type[Definition]) -> list[Definition]:
    """Functions, or classes, at the top of a module, found in its text: it may import what not every machine has.

    Raises:
        FileNotFoundError: there is no such module.
    """
    path = source_file(module)
    if path is None:
        raise FileNotFoundError(module)
    return [node for node in ast.parse(path.read_text()).body if isinstance(node, kind)]


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


@cache
def _parsed(text: str, module: str, is_package: bool) -> tuple[list[str], str]:
    """Names that `text` imports from lop, modules and names that may be modules; and the digest of its code."""
    names, nodes = [], list(ast.walk(ast.parse(text)))
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(node, module, is_package)
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    imports = [name for name in names if name.split(".")[0] == PACKAGE]
    return imports, hashlib.sha256(_code_only(text, nodes).encode()).hexdigest()


def _absolute(node: ast.ImportFrom, module: str, is_package: bool) -> str:
    if not node.level:
        return node.module or ""
    parts = module.split(".") if is_package else module.split(".")[:-1]
    parts = parts[: len(parts) - node.level + 1]
    return ".".join([*parts, node.module] if node.module else parts)


def code_only(text: str) -> str:
    """`text` without comments, docstrings and blank lines.

    Cut out of the text rather than printed from the syntax tree, whose printed form differs between Python versions.
    """
    return _code_only(text, ast.walk(ast.parse(text)))


def _code_only(text: str, nodes: Iterable[ast.AST]) -> str:
    lines = text.splitlines()
    for first, last in _docstrings(nodes):
        lines[first - 1 : last] = [""] * (last - first + 1)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT and lines[token.start[0] - 1]:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    return "\n".join(line.rstrip() for line in lines if line.strip())


def _docstrings(nodes: Iterable[ast.AST]) -> list[tuple[int, int]]:
    """First and last line of every docstring that has its lines to itself."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    spans = []
    for node in nodes:
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            string = node.body[0]
            last = string.end_lineno or string.lineno
            shares_line = len(node.body) > 1 and node.body[1].lineno == last
            if not shares_line and string.lineno > getattr(node, "lineno", 0):
                spans.append((string.lineno, last))
    return spans
