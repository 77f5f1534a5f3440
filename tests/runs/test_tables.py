"""Tables whose contents are verified when they are read."""

import errno
import os
import random
import sys
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from refusals import names, refusal

from lop.common.errors import InputError
from lop.runs import tables
from lop.runs.tables import read_schema, read_table, rows_digest, write_table

TABLE = pa.table(
    {
        "metric": pa.array(["return", "rank", "return", None]).dictionary_encode(),
        "step": pa.array([1, 2, 3, 4], pa.int64()),
        "layer": pa.array([None, 0, None, 1], pa.int16()),
        "value": pa.array([0.5, float("nan"), -1.0, None], pa.float64()),
    }
)
ABOUT = '{"format": 1, "seed": 3, "origin": {"parameters": {"lr": 0.0001}}}'


def read(path):
    """Everything that a reader takes from a file, or None if it is refused."""
    with suppress(InputError):
        metadata, digest = read_schema(path).metadata or {}, rows_digest(read_table(path))
        if b"lop" in metadata:  # `read_about` refuses files without this key
            return metadata[b"lop"], digest
    return None


def test_a_table_is_restored(tmp_path):
    write_table(TABLE, tmp_path / "a.parquet", ABOUT)
    assert read_table(tmp_path / "a.parquet").to_pydict()["metric"] == ["return", "rank", "return", None]
    assert read(tmp_path / "a.parquet") == (ABOUT.encode(), rows_digest(TABLE))


@pytest.mark.skipif(sys.platform == "darwin", reason="names of files must be valid UTF-8")
def test_a_path_may_contain_any_bytes(tmp_path):
    folder = tmp_path / os.fsdecode(b"\xe9t\xe9")
    folder.mkdir()
    write_table(TABLE, folder / "a.parquet", ABOUT)
    assert read(folder / "a.parquet") == (ABOUT.encode(), rows_digest(TABLE))


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("metric", pa.array(["return", "rank", "rank", None]).dictionary_encode()),
        ("metric", pa.array(["return", "rank", "return", ""]).dictionary_encode()),
        ("step", pa.array([1, 2, 3, 5], pa.int64())),
        ("step", pa.array([1, 2, 3, 4], pa.int32())),
        ("layer", pa.array([0, 0, None, 1], pa.int16())),
        ("value", pa.array([0.5, float("nan"), -1.0, 0.0], pa.float64())),
        ("value", pa.array([-0.5, float("nan"), -1.0, None], pa.float64())),
    ],
)
def test_digest_depends_on_every_value(column, values):
    place = TABLE.column_names.index(column)
    assert rows_digest(TABLE.set_column(place, column, values)) != rows_digest(TABLE)


def test_digest_depends_neither_on_chunks_nor_on_the_order_of_a_dictionary():
    other = TABLE.set_column(
        0, "metric", pa.DictionaryArray.from_arrays(pa.array([1, 0, 1, None]), pa.array(["rank", "return"]))
    )
    assert rows_digest(pa.concat_tables([other.slice(0, 1), other.slice(1)])) == rows_digest(TABLE)


def test_no_flipped_bit_goes_unnoticed(tmp_path):
    path = tmp_path / "a.parquet"
    write_table(TABLE, path, ABOUT)
    content, expected, rng = path.read_bytes(), read(path), random.Random(0)
    noticed = 0
    for _ in range(1_500):
        place, bit = rng.randrange(len(content)), rng.randrange(8)
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :])
        found = read(path)
        assert found in (None, expected), f"byte {place}, bit {bit}"
        noticed += found is None
    assert noticed > 500


def test_files_without_digests_can_be_read(tmp_path):
    pq.write_table(TABLE, tmp_path / "a.parquet")
    assert rows_digest(read_table(tmp_path / "a.parquet")) == rows_digest(TABLE)


def test_a_missing_file_is_reported(tmp_path):
    with refusal(tmp_path / "a.parquet"):
        read_table(tmp_path / "a.parquet")


def test_a_file_without_permission_to_read_it_is_not_called_damaged(tmp_path, monkeypatch):
    """Root, as which tests may run, has permission to read every file."""
    path = tmp_path / "a.parquet"
    write_table(TABLE, path)

    def forbidden(path, mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(tables, "open", forbidden, raising=False)
    with pytest.raises(InputError) as raised:
        read_table(path)
    names(str(raised.value), path, "permission denied")
    assert "damaged" not in str(raised.value)
