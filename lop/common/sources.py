"""Digests of the source code that an entry module imports from lop.

Imports are read from the syntax tree; nothing is executed. Text for human readers is ignored: comments, docstrings,
blank lines, and the strings in `raise` statements and `description=` arguments. So are checks for optional packages
(`lop.common.extras`).
"""

import ast
import hashlib
import io
import json
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from lop.common.paths import ROOT

PACKAGE = "lop"
PLUMBING = ("lop.common", "lop.runs")  # packages whose code does not affect the identity of runs
ASSETS = "assets/*.xml"  # files in the folder of a package that are treated as its code
Definition = TypeVar("Definition", ast.ClassDef, ast.FunctionDef)
Position = tuple[int, int]  # line and byte, from 0


def science(*entries: str) -> dict[str, str]:
    """Return {module: digest} of the scientific code that `entries` (dotted names) import, including themselves.

    Plumbing is excluded. A package's XML files in its folder `assets` are treated as modules, named by their paths.
    """
    found = _closure(entries, stop=PLUMBING)
    for module in list(found):
        for path in ROOT.joinpath(*module.split(".")).glob(ASSETS):
            found[path.relative_to(ROOT).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def digest(*entries: str, comments: bool = False) -> str:
    """Return one digest of all modules of lop that `entries` import, including plumbing.

    With `comments`, the digest covers every character of the files.
    """
    return combined(_closure(entries, comments=comments))


def fingerprint(value: Any) -> str:
    """Return a digest of plain JSON values."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def combined(parts: dict[str, str]) -> str:
    """Return one digest of {module: digest}."""
    text = "\n".join(f"{module} {part}" for module, part in sorted(parts.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def modules(*entries: str) -> list[str]:
    """Return the names of all modules of lop that `entries` import, including plumbing."""
    return sorted(_closure(entries))


def source_file(module: str) -> Path | None:
    """Return the file of a module, given by its dotted name; None if there is no such module."""
    base = ROOT.joinpath(*module.split("."))
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def definitions(module: str, kind: type[Definition]) -> list[Definition]:
    """Return the functions, or classes, at the top of a module without importing it.

    Raises:
        FileNotFoundError: there is no such module.
    """
    path = source_file(module)
    if path is None:
        raise FileNotFoundError(module)
    return [node for node in ast.parse(path.read_text("utf-8")).body if isinstance(node, kind)]


def code_only(text: str) -> str:
    """Return `text` without the parts for human readers.

    These are cut out of the text itself, because the output of `ast.unparse` differs between Python versions.
    """
    return _code_only(text, list(ast.walk(ast.parse(text))))


def _closure(entries: Iterable[str], stop: tuple[str, ...] = (), comments: bool = False) -> dict[str, str]:
    found: dict[str, str] = {}
    waiting = list(entries)
    while waiting:
        module = waiting.pop()
        path = source_file(module)
        if path is None or module in found or f"{module}.".startswith(tuple(f"{package}." for package in stop)):
            continue
        text = path.read_text("utf-8")
        imports, code = _parsed(text, module, is_package=path.name == "__init__.py")
        found[module] = hashlib.sha256(text.encode()).hexdigest() if comments else code
        waiting += _parents(module) + imports
    return found


def _parents(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:i]) for i in range(1, len(parts))]


@cache
def _parsed(text: str, module: str, is_package: bool) -> tuple[list[str], str]:
    """Return the names that `text` imports from lop, which may be modules, and the digest of its code."""
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


def _code_only(text: str, nodes: list[ast.AST]) -> str:
    lines = [line.encode() for line in text.split("\n")]
    prose, continued = set(_prose(nodes)), set()
    spans = set(prose)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        row, next_row = token.start[0] - 1, token.end[0]
        place = (row, len(lines[row].decode()[: token.start[1]].encode()) if row < len(lines) else 0)
        if token.type == tokenize.COMMENT:
            spans.add((place, (row, len(lines[row]))))
        elif next_row - row > 1 and token.string.strip() and not any(one <= place <= other for one, other in prose):
            continued |= set(range(row, next_row - 1))  # lines that end inside a string
    for (first, start), (last, end) in sorted(spans, reverse=True):  # from the end: earlier positions stay valid
        lines[first : last + 1] = [lines[first][:start] + lines[last][end:], *[b""] * (last - first)]
    kept = (line if n in continued else line.rstrip() for n, line in enumerate(lines) if line.strip() or n in continued)
    return b"\n".join(kept).decode()


def _prose(nodes: list[ast.AST]) -> Iterator[tuple[Position, Position]]:
    """Yield the spans of docstrings, of strings in `raise` statements and `description=` arguments, and of checks."""
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    strings: list[ast.expr | ast.stmt] = []
    for node in nodes:
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            strings.append(node.body[0].value)  # type: ignore[attr-defined]
        elif isinstance(node, ast.Raise) or (isinstance(node, ast.keyword) and node.arg == "description"):
            strings += _outermost_strings(node)
        elif isinstance(node, ast.stmt) and _checks_packages(node):
            strings.append(node)
    for string in strings:
        yield (string.lineno - 1, string.col_offset), (string.end_lineno - 1, string.end_col_offset)  # type: ignore[operator, misc]


def _checks_packages(node: ast.stmt) -> bool:
    """Return whether a statement imports or calls `lop.common.extras.require`."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return isinstance(node.value.func, ast.Name) and node.value.func.id == "require"
    return isinstance(node, ast.ImportFrom) and node.module == "lop.common.extras"


def _outermost_strings(node: ast.AST) -> Iterator[ast.expr]:
    """Yield the strings below `node`; an f-string counts as one string, including its expressions."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.JoinedStr) or (isinstance(child, ast.Constant) and isinstance(child.value, str)):
            yield child
        else:
            yield from _outermost_strings(child)
