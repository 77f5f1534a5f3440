"""Damaged files, and valid files with other contents, are read correctly or refused in one line that names the file."""

import io
import json
import os
import resource
import traceback
from contextlib import suppress
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hostile import archive, damaged, fed, npy
from refusals import refusal
from written import about, write_run

from lop.claims.table import judged
from lop.common.errors import InputError
from lop.data.sets import ImageSource
from lop.figures.collect import COLLECTED, collect, read_collected, write_collected
from lop.figures.draw import plotted_numbers
from lop.figures.registry import load_figure
from lop.figures.runs import shown_runs
from lop.plan.costs import read_records
from lop.plan.state import states
from lop.rl import frictions
from lop.runs import checkpoint, published
from lop.runs.published import published_tables, read_index
from lop.runs.spec import Conditions

STRIDES = [pytest.param(9, id="some"), pytest.param(1, id="all", marks=pytest.mark.slow)]
FIGURE = load_figure("fig4a", "smoke")
RUN, *_ = shown_runs(FIGURE, Conditions())
SPEC, PANEL = RUN.spec, FIGURE.curve_panels[0]
OTHER_VALUES = (None, 0, -1, "a\nb", [], {}, [1], {"a": 1}, float("nan"), 1e308, True)
PARTS = ("origin", "machine")


def parquet(table):
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


@pytest.fixture
def metrics(tmp_path):
    return write_run(tmp_path, SPEC, [("return", step, None, 1.0) for step in range(500, PANEL.to, 500)])


def documents():
    """Yield the metadata of a run with each value replaced or removed."""
    good = about(SPEC, format=1)
    for key in good:
        yield {name: value for name, value in good.items() if name != key}
        yield from (good | {key: value} for value in OTHER_VALUES)
    for part in PARTS:
        for key in good[part]:
            yield from (good | {part: good[part] | {key: value}} for value in OTHER_VALUES)
    yield from (good | {"versions": {"torch": 2}}, good | {"earlier": [{}]}, good | {"format": 2})


def other_metrics(table):
    """Yield metrics files without digests, and with other documents and columns."""
    plain, n = table.replace_schema_metadata({b"lop": json.dumps(about(SPEC, format=1)).encode()}), len(table)
    yield from (parquet(plain), parquet(plain.slice(0, 0)), parquet(pa.concat_tables([plain] * 2)))
    texts = [json.dumps(document).encode() for document in documents()]
    texts += [b"", b"null", b"[[1, 2]]", b"\xff", b"[" * 100_000, b'{"a": ' * 5_000, b"9" * 5_000]
    yield from (parquet(table.replace_schema_metadata({b"lop": text})) for text in texts)
    columns = [("step", pa.array([step] * n, pa.int64())) for step in (None, -(2**63), 0, 2**62, 2**63 - 1)]
    columns += [("value", pa.array([value] * n, pa.float64())) for value in (None, np.nan, np.inf, 1e308)]
    columns += [("layer", pa.array([layer] * n, pa.int16())) for layer in (-1, 2**15 - 1)]
    names = ([None] * n, ["return", *[None] * (n - 1)], ["a\nb"] * n)
    columns += [("metric", pa.array(metric, pa.string()).dictionary_encode()) for metric in names]
    columns += [("metric", pa.array(["return"] * n)), ("metric", pa.array([1] * n)), ("more", pa.array(range(n)))]
    for name, values in columns:
        yield parquet(plain.drop_columns(set(plain.column_names) & {name}).append_column(name, values))


@pytest.mark.parametrize("stride", STRIDES)
def test_hostile_metrics(stride, metrics, tmp_path, record_property):
    def read():
        states([SPEC], tmp_path)
        read_records(tmp_path)
        judged(FIGURE, collect(FIGURE, [RUN], tmp_path), ImageSource())

    cases = [*damaged(metrics.read_bytes(), 200), *other_metrics(pq.read_table(metrics))]
    record_property("faults", fed(metrics, cases[::stride], read))


@pytest.mark.parametrize("document", [about(SPEC, origin=SPEC.origin | {"code": 1}), about(SPEC, origin=[])])
def test_a_document_of_another_layout_is_refused(metrics, document, tmp_path):
    table = pq.read_table(metrics).replace_schema_metadata({b"lop": json.dumps({"format": 1, **document}).encode()})
    metrics.write_bytes(parquet(table))
    with refusal(metrics, "origin"):
        collect(FIGURE, [RUN], tmp_path)


def other_tables(table):
    table = table.replace_schema_metadata(None)
    yield from (parquet(table.slice(0, 0)), parquet(pa.concat_tables([table] * 2)), parquet(table.select(["panel"])))
    for place, field in enumerate(COLLECTED):
        values = ("", "no\ncurve", None) if field.name == "curve" else (None, -1, 7, 2**15 - 1, np.nan, -np.inf, 1e308)
        for value in values:
            if isinstance(value, float) and field.name != "value":
                continue
            for column in ([value] * len(table), [value, *table[field.name].to_pylist()[1:]]):
                yield parquet(table.set_column(place, field, pa.array(column, field.type)))


@pytest.mark.parametrize("stride", STRIDES)
def test_hostile_tables(stride, metrics, tmp_path, record_property):
    path = tmp_path / "fig4a.parquet"
    write_collected(collect(FIGURE, [RUN], tmp_path), path)

    def read():
        table = read_collected(path)
        with suppress(InputError):  # of another figure
            plotted_numbers(table, FIGURE)
        judged(FIGURE, table, ImageSource())

    cases = [*damaged(path.read_bytes(), 150), *other_tables(pq.read_table(path))]
    record_property("faults", fed(path, cases[::stride], read))


ORIGIN = SPEC.origin
TREES = (
    *("[" * 50_000, "null", "3", "[]", '{"array": null}', '{"tensor": "x"}', '{"dict": [[{"dict": []}, 1]]}', "{}"),
    *('{"dict": [[[1], 1]]}', '{"dict": [1]}', '{"tuple": 3}', '{"a": 1, "b": 2}', '{"bytes": null}'),
)
SHAPES = ((2**40,), (2**62, 2**62), (-1,), (0,), (1,) * 100, "x", (2**63,), (1.5,), (True,), ())
DTYPES = ("<f8", "|O", "|V100", "<U1000000", "|S0", "junk", [("a", "<f8")], "<M8[ns]", "<f2", ">f8", "<u4")


def other_checkpoints():
    start = f'{{"format": {checkpoint.FORMAT}, "origin": {json.dumps(ORIGIN)}, "state": '
    yield from (archive((checkpoint.TREE, start + tree + "}")) for tree in TREES)
    for shape in SHAPES:
        for dtype in DTYPES:
            for kind in ("array", "tensor"):
                tree = f'{start}{{"{kind}": "float"}}}}'
                yield archive((checkpoint.TREE, tree), ("0.npy", npy(shape, dtype)))
    yield archive((checkpoint.TREE, start + '{"dict": []}}'), ("../../evil", "x"))


@pytest.mark.parametrize("stride", STRIDES)
def test_hostile_checkpoints(stride, tmp_path, record_property):
    path = tmp_path / "checkpoint.pt"
    checkpoint.save(path, ORIGIN, {"a": np.arange(5), "t": torch.ones(3), "l": [1, (2, "x")], "b": b"x"})
    cases = [*damaged(path.read_bytes(), 500), *other_checkpoints()]
    record_property("faults", fed(path, cases[::stride], lambda: checkpoint.load(path, ORIGIN)))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_index_of_published_tables_is_validated(tmp_path, monkeypatch, record_property):
    monkeypatch.setattr(published, "PUBLISHED", tmp_path)
    path = tmp_path / "smoke" / "index.json"
    path.parent.mkdir()
    entry = {"key": "k", "runs": ["rl/a"], "collected": "c", "version": "v", "made_by": "m"}
    good = json.dumps({"fig4a": entry}).encode()
    others = [{"fig4a": value} for value in OTHER_VALUES] + [{"fig4a": {**entry, "more": 1}}, {"": entry}]
    others += [{"fig4a": entry | {key: value}} for key in entry for value in OTHER_VALUES]
    cases = [*damaged(good, 100), b"[" * 100_000, *(json.dumps(other).encode() for other in others)]
    number = fed(path, cases, lambda: [set(one.runs) for one in read_index(path).values()])
    record_property("faults", number)
    path.write_bytes(good)
    published_tables.cache_clear()
    assert published_tables("smoke")["fig4a"].path == path.parent / "fig4a.parquet"
    published_tables.cache_clear()


def test_headers_that_promise_terabytes_allocate_nothing(tmp_path):
    """A process that may not allocate 300 MB more than it has reads them all."""
    path = tmp_path / "checkpoint.pt"
    child = os.fork()
    if not child:
        try:
            used = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_DATA, (used + 300_000_000,) * 2)
            fed(path, other_checkpoints(), lambda: checkpoint.load(path, ORIGIN))
            with pytest.raises(MemoryError):
                bytes(400_000_000)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0


def test_hostile_frictions(tmp_path, record_property):
    path = tmp_path / "frictions.txt"
    words = ("nan", "inf", "-0", "1e400", "1_0", "0x1", "١", "-1", "", "1;1", "9" * 10_000)
    cases = [*damaged(b"0.1 0.2,0.3\n0.1, 2 0.4\n", 300), *(f"1 1\n1 {word} 1\n".encode() for word in words)]
    cases += ["1 1\n1 1".encode(code) for code in ("utf-8-sig", "utf-16", "utf-32")]

    def read_all():
        assert all(0 <= friction < float("inf") for friction in frictions.read(path, 1, 2))

    record_property("faults", fed(path, cases, read_all))
