"""Parquet files with digests of their contents, which are verified whenever they are read.

Parquet's own checksums do not cover the metadata in its footer, where a flipped bit can change a value or hide rows.
"""

import hashlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import shown

ABOUT = b"lop"  # keys of the schema's metadata: a JSON document about the table,
ABOUT_DIGEST, ROWS_DIGEST = b"lop.about.sha256", b"lop.rows.sha256"  # its digest, and that of the rows

DAMAGE = (pa.ArrowException, OSError, ValueError, TypeError)  # what damaged files make pyarrow raise


def write_table(table: pa.Table, path: Path, about: str = "", level: int | None = None) -> None:
    """Write a table as Parquet, atomically.

    Args:
        table: columns of strings, integers and floats.
        path: file to write.
        about: JSON document for the metadata.
        level: compression level of zstd; by default the library's.
    """
    metadata = {ABOUT: about.encode(), ABOUT_DIGEST: _sha256(about.encode()), ROWS_DIGEST: rows_digest(table)}
    with atomic_file(path) as temporary:
        sealed = table.replace_schema_metadata(metadata)
        with open(temporary, "wb") as file:  # pyarrow accepts no path that is not valid UTF-8
            pq.write_table(sealed, file, compression="zstd", compression_level=level)


def read_table(path: Path) -> pa.Table:
    """Read a table on one thread, and compare its rows with their digest, if the file contains one.

    Raises:
        InputError: the file is missing, unreadable or damaged.
    """
    read_schema(path)
    try:
        with open(path, "rb") as file:
            table = pq.read_table(file, use_threads=False)
        digest = (table.schema.metadata or {}).get(ROWS_DIGEST)
        if digest is not None and digest != rows_digest(table):
            raise ValueError("the rows differ from their digest")
    except DAMAGE as error:
        raise damaged(path, error) from None
    return table


def read_schema(path: Path) -> pa.Schema:
    """Read the schema of a table, and compare the document in its metadata with its digest, if there is one.

    Raises:
        InputError: the file is missing, unreadable or damaged.
    """
    if path.exists() and not path.is_file():
        raise InputError(f"{shown(path)}: not a regular file")  # reading a FIFO would never end
    try:
        with open(path, "rb") as file:
            schema = pq.read_schema(file)
        metadata = schema.metadata or {}
        if ABOUT_DIGEST in metadata and metadata[ABOUT_DIGEST] != _sha256(metadata.get(ABOUT, b"")):
            raise ValueError("the metadata differ from their digest")
    except FileNotFoundError:
        raise InputError(f"{shown(path)}: no such file") from None
    except PermissionError:
        raise InputError(f"{shown(path)}: permission denied") from None
    except DAMAGE as error:
        raise damaged(path, error) from None
    return schema


def rows_digest(table: pa.Table) -> bytes:
    """Return the SHA-256 of the names, types and values of all columns, in hexadecimal digits."""
    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        values = column.combine_chunks()
        if pa.types.is_dictionary(values.type):
            values = values.cast(pa.string())
        digest.update(f"{name} {values.type} {len(values)}\n".encode())
        digest.update(_memory(values.is_null().cast(pa.uint8())))
        if pa.types.is_string(values.type):
            encoded = values.dictionary_encode()
            digest.update("\n".join(map(str, encoded.dictionary.to_pylist())).encode())
            values = encoded.indices
        digest.update(_memory(values.drop_null()))
    return digest.hexdigest().encode()


def _memory(values: pa.Array) -> memoryview:
    """Return the bytes of an array of numbers without nulls; `to_numpy` and `fill_null` import pandas."""
    width = values.type.bit_width // 8
    return memoryview(values.buffers()[1])[values.offset * width : (values.offset + len(values)) * width]


def damaged(path: Path, error: Exception) -> InputError:
    """Return the error for a file that cannot be read."""
    reason = " ".join(str(error).split())[:120]
    return InputError(f"{shown(path)}: truncated or damaged ({reason}); move it away and run again")


def _sha256(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
