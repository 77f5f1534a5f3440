"""Hostile texts, variants of configuration files that contain them, and damaged files."""

import io
import json
import random
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from lop.common.errors import InputError, failures_as_input_errors

TEXTS = [
    *("0", "-1", "1", "2.5", "-0.0", "1e308", "1e400", ".nan", ".inf", "-.inf", "9" * 30, "1e15", "1e-320", "1e10"),
    *("''", "a", "'1'", "null", "true", "no", "~", "[]", "{}", "[1]", "[[1]]", "{a: 1}", "[null]", "[a, a]", "[1, 1]"),
    *("2020-01-01", "!!binary YQ==", "!!set {a}", "!!str 1", "!!timestamp 2020-01-01", "0x10", "0o17", "1_000", "1:30"),
    *("../a", "/", "/etc/passwd", "~root", "a b", "\"a'b\"", '"$(touch hacked)"', '"`id`"', '"a;b"', '"{seed}"', "'%'"),
    *('"a\\nb"', '"\\0"', '"\\uD800"', '"\\u202e"', "ü", "日本", '"\\x1b[31m"', "'<script>'", "x" * 300, "x" * 100_000),
    *("&a [1, *a]", "*b", "!!python/name:os.system", "[" * 60 + "]" * 60, "'" + "/" * 200 + "'", "a:b", "os:system"),
    *('"a $x$ $"', '"$\\\\frac$"', "'\\'", "{a: []}"),
]  # fmt: skip
PLACE = "<here>"


class Variant(NamedTuple):
    """A configuration file with one change."""

    keys: tuple[str, ...]  # the changed key and those around it, innermost first
    content: bytes


def _places(document: Any, keys: tuple = ()) -> Iterator[tuple]:
    """Yield the path of every value: the keys and positions that lead to it."""
    for key, value in document.items() if isinstance(document, dict) else enumerate(document):
        yield (*keys, key)
        if isinstance(value, dict | list):
            yield from _places(value, (*keys, key))


def _changed(document: Any, keys: tuple, change: Callable[[Any, Any], object]) -> str:
    """Return the text of a document after `change` of the mapping or list that contains a value."""
    inside = copy = json.loads(json.dumps(document))
    for key in keys[:-1]:
        inside = inside[key]
    change(inside, keys[-1])
    return json.dumps(copy)


def variants(document: dict) -> Iterator[Variant]:
    """Yield the document with every value replaced by every text, removed, repeated, or beside an unknown key."""
    for keys in _places(document):
        names = tuple(key for key in reversed(keys) if isinstance(key, str))
        before, after = _changed(document, keys, lambda one, key: one.__setitem__(key, PLACE)).split(json.dumps(PLACE))
        yield from (Variant(names, f"{before}{text}{after}".encode()) for text in TEXTS)
        yield Variant(names, _changed(document, keys, lambda one, key: one.pop(key)).encode())
        if isinstance(keys[-1], str):
            yield Variant(names, f"{before}1, {json.dumps(names[0])}: 2{after}".encode())
            yield Variant(("unknown", *names), f"{before}1, unknown: 2{after}".encode())


def files(document: dict) -> Iterator[Variant]:
    """Yield files with unusual encodings, line ends, structures and ends."""
    text = json.dumps(document, indent=1)
    unusual = [b"", b"\n", b"---\n", b"null", b"[]", b"a", b"3", b"\xff\xfe", b"\0", b"---\na: 1\n---\n", b"%YAML 9\n"]
    unusual += [text.encode(code) for code in ("utf-8-sig", "utf-16", "utf-32")]
    unusual += [text.replace("\n", end).encode() for end in ("\r\n", "\r", "\n\n", "\n\t", "\u2028")]
    unusual += [text[: len(text) * part // 20].encode() for part in range(20)]
    unusual += [text.encode() + more for more in (b"\t", b"{", b"a: [", b"\x80", b"\n...\n", b"\n...\nrest")]
    return (Variant((), content) for content in unusual)


def npy(shape: object, dtype: object, data: bytes = bytes(64)) -> bytes:
    """Return a .npy file with any header."""
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def archive(*members: tuple[str, bytes]) -> bytes:
    """Return a ZIP archive of members (name, content)."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in members:
            packed.writestr(name, content)
    return file.getvalue()


def damaged(content: bytes, flips: int) -> Iterator[bytes]:
    """Yield other files, and a file that is cut, extended, and has flipped bits and replaced bytes."""
    rng = random.Random(0)
    yield from (b"", b"\0", b"PK\3\4", b"\x1f\x8b", b"PAR1", b"<html>", bytes(1_000), rng.randbytes(1_000))
    yield from (content + b"x", content + content, content[::-1])
    size = len(content)
    ends = {*range(40), *range(size - 40, size), *(rng.randrange(size) for _ in range(40))}
    yield from (content[:end] for end in sorted(ends) if 0 < end < size)
    for _ in range(flips):
        place = rng.randrange(size)
        new = rng.choice((bytes([content[place] ^ 1 << rng.randrange(8)]), rng.randbytes(rng.choice((1, 2, 8)))))
        yield content[:place] + new + content[place + 1 :]


def fed(path: Path, contents: Iterable[bytes], read: Callable[[], object]) -> int:
    """Let a file be read with each of the contents; each is accepted, or refused in one line that names the file.

    Returns:
        Number of contents.
    """
    number = 0
    for content in contents:
        number += 1
        path.write_bytes(content)
        try:
            with failures_as_input_errors():
                read()
        except InputError as error:
            message = str(error)
            assert path.name in message, message
            assert len(message.splitlines()) == 1, message
    return number
