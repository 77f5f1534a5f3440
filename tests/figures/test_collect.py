"""The collection of a figure's metrics into one table."""

import json
import tracemalloc
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from refusals import refusal
from synthetic import PANEL, collected, figure, runs_of, write_runs
from written import about, write_run

from lop.figures.collect import binned, collect, read_collected, read_metric, write_collected
from lop.figures.registry import Panel
from lop.figures.runs import by_path, table_path
from lop.runs.metrics import FORMAT, SCHEMA

STD = {"curves": {"std": {"runs": "rl/ant/std"}}, "seeds": [0]}
RUN = runs_of(figure(STD))[0].spec  # the only run of a figure with that panel
POOL = pa.proxy_memory_pool(pa.default_memory_pool())  # counts Arrow's allocations and must outlive them


def rows(*values: tuple) -> pa.Table:
    steps, layers, numbers = zip(*values, strict=True)
    columns = [pa.array(steps, pa.int64()), pa.array(layers, pa.int16()), pa.array(numbers, pa.float64())]
    return pa.table(columns, names=["step", "layer", "value"])


def test_reduction_max_keeps_the_largest_value_of_a_bin():
    largest = binned(rows((1, None, 1.0), (10, None, 3.0), (11, None, 5.0)), 10, "max")
    assert largest.select(["bin", "value", "count"]).to_pylist() == [
        {"bin": 10, "value": 3.0, "count": 2},
        {"bin": 20, "value": 5.0, "count": 1},
    ]
    (diverged,) = binned(rows((1, None, 1.0), (2, None, float("nan"))), 10, "max")["value"].to_pylist()
    assert diverged != diverged


def test_bins_are_open_on_the_left_and_closed_on_the_right():
    means = binned(rows((1, None, 1.0), (10, None, 3.0), (11, None, 5.0), (35, None, -1.0)), 10)
    assert means.to_pydict() == {
        "layer": [None] * 3,
        "bin": [10, 20, 40],
        "value": [2.0, 5.0, -1.0],
        "count": [2, 1, 1],
    }


def test_step_0_has_its_own_bin():
    assert binned(rows((0, None, 4.0), (1, None, 8.0)), 1000)["bin"].to_pylist() == [0, 1000]


def test_layers_are_binned_separately():
    means = binned(rows((5, 1, 1.0), (5, 0, 2.0), (6, 1, 3.0), (7, None, 9.0)), 10)
    assert means["layer"].to_pylist() == [0, 1, None]
    assert means["value"].to_pylist() == [2.0, 2.0, 9.0]


@given(st.lists(st.tuples(st.integers(0, 10**9), st.floats(-1e6, 1e6)), min_size=1), st.integers(1, 10**6))
def test_bins_preserve_the_number_and_the_sum_of_values(values, width):
    steps, numbers = map(np.array, zip(*values, strict=True))
    means = binned(rows(*((int(step), None, float(number)) for step, number in values)), width).to_pandas()
    assert means["count"].sum() == len(values)
    assert np.isclose((means["value"] * means["count"]).sum(), numbers.sum(), atol=1e-3)
    for edge, count in zip(means["bin"], means["count"], strict=True):
        assert edge % width == 0
        assert ((steps > edge - width) & (steps <= edge)).sum() == count


def test_nan_and_infinity_are_preserved():
    means = binned(rows((1, None, float("nan")), (2, None, 1.0), (11, None, float("inf"))), 10)
    assert np.isnan(means["value"][0].as_py())
    assert means["value"][1].as_py() == np.inf


def test_run_is_read_up_to_the_last_step_for_the_given_layers(tmp_path):
    values = [("return", 10, None, 1.0), ("rank", 5, 0, 2.0), ("rank", 40, 1, 3.0), ("rank", 41, 1, 4.0)]
    path = write_run(tmp_path, RUN, values)
    ranks = Panel(**PANEL | {"metric": "rank"})
    assert read_metric(path, Panel(**PANEL), to=40)["value"].to_pylist() == [1.0]
    assert read_metric(path, ranks, to=40)["value"].to_pylist() == [2.0, 3.0]
    assert read_metric(path, ranks)["value"].to_pylist() == [2.0, 3.0, 4.0]
    assert read_metric(path, Panel(**PANEL | {"metric": "rank", "layers": [1]}), to=40)["value"].to_pylist() == [3.0]


def test_level_is_the_mean_over_a_whole_run_per_layer(tmp_path):
    """The run continues after the panel's last step, 40."""
    values = [("return", step, layer, float(step + layer)) for layer in (0, 1) for step in (10, 40, 100)]
    write_run(tmp_path, RUN, values)
    curves = {"std": {"runs": "rl/ant/std", "level": True}}
    table = collected(figure({"curves": curves, "seeds": 1}), tmp_path)
    assert table[["layer", "bin", "value", "count"]].to_numpy().tolist() == [[0, 40, 50.0, 3], [1, 40, 51.0, 3]]


def test_table_is_ordered_by_panel_and_curve(tmp_path):
    two = figure({}, {"metric": "return", "curves": {"cbp": {"runs": "rl/ant/cbp"}}, "bin": 20})
    write_runs(tmp_path, figure())
    table = collected(two, tmp_path)
    assert list(table) == ["panel", "curve", "seed", "layer", "bin", "value", "count"]
    first = table.iloc[0]
    assert first[["panel", "curve", "seed", "bin", "count"]].tolist() == [0, "std", 0, 10, 2]
    assert first["value"] == pytest.approx((5 + 0.5 + 3 + 1.0) / 2)
    runs = table[["panel", "curve", "seed"]].drop_duplicates().to_numpy().tolist()
    assert runs == [[0, c, s] for c in ("std", "cbp") for s in range(3)] + [[1, "cbp", s] for s in range(3)]
    assert table["layer"].isna().all()


def test_table_round_trips_and_is_reproducible(tmp_path):
    write_runs(tmp_path, figure())
    table = collected(figure(), tmp_path)
    write_collected(table, tmp_path / "a" / "fig4a.parquet")
    pd.testing.assert_frame_equal(read_collected(tmp_path / "a" / "fig4a.parquet"), table)
    write_collected(table, tmp_path / "b.parquet")
    assert (tmp_path / "a" / "fig4a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["fig4a.parquet"]


def test_missing_runs_are_rejected_unless_left_out(tmp_path):
    write_runs(tmp_path, figure())
    runs = runs_of(figure())
    (tmp_path / runs[1].spec.path).unlink()
    with refusal(tmp_path / runs[1].spec.path):
        collect(figure(), runs, tmp_path)
    table = collect(figure(), [runs[0], *runs[2:]], tmp_path)
    assert table[["curve", "seed"]].drop_duplicates()["seed"].tolist() == [0, 2, 0, 1, 2]


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"origin": RUN.origin | {"parameters": RUN.identity["parameters"] | {"wd": 7.0}}}, ("wd", 7.0, 0.0)),
        ({"origin": RUN.origin | {"seed": 5}}, ("seed", 5, 0)),
        ({"origin": RUN.origin | {"code": RUN.identity["code"] | {"lop.envs": "0"}}}, ("code", "lop.envs")),
        ({"horizon": 3}, ("n_steps", 3, RUN.horizon)),
    ],
)
def test_metrics_of_another_run_are_rejected(tmp_path, changes, facts):
    path = write_run(tmp_path, RUN, [("return", 1, None, 1.0)], **changes)
    with refusal(path, *facts):
        collected(figure(STD), tmp_path)


def test_run_shown_by_several_panels_is_one_file():
    twice = figure({}, {"metric": "stable_rank", "seeds": 2})
    assert [(run.panel, run.spec.seed) for run in runs_of(twice)] == [(0, 0), (0, 1), (0, 2)] * 2 + [(1, 0), (1, 1)] * 2
    assert by_path(runs_of(twice)) == by_path(runs_of(figure()))


def test_name_of_a_table_depends_on_its_runs_and_their_collection():
    def path(shown, runs=None):
        return table_path(shown, runs_of(shown) if runs is None else runs)

    assert path(figure({"y_label": "other", "y_scale": "log"})) == path(figure())
    renamed = [replace(run, spec=replace(run.spec, config="x", scale="y")) for run in runs_of(figure())]
    assert path(figure(), renamed) == path(figure())
    others = [figure({"bin": 20}), figure({"seeds": 2}), figure({"metric": "stable_rank"}), figure(scale="smoke")]
    assert len({path(one) for one in [*others, figure()]}) == 5


def truncated(path):
    path.write_bytes(path.read_bytes()[:-20])


def cut_inside(path):
    content = path.read_bytes()
    path.write_bytes(content[:40] + b"\x00" * 120 + content[160:])


def columns_renamed(path):
    table = pq.read_table(path)
    pq.write_table(table.rename_columns(["metric", "step", "layer", "number"]), path)


def steps_as_text(path):
    table = pq.read_table(path)
    pq.write_table(table.set_column(1, "step", table["step"].cast(pa.string())), path)


def no_metadata(path):
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)


def metadata_of_another_kind(path):
    pq.write_table(pq.read_table(path).replace_schema_metadata({b"lop": b"3"}), path)


BAD_FILES = {
    truncated: (),
    cut_inside: (),
    columns_renamed: ("value", "double"),
    steps_as_text: ("step", "string", "int64"),
    no_metadata: ("metadata", "lop", "JSON"),
    metadata_of_another_kind: ("metadata", "lop", "JSON"),
    lambda path: path.write_bytes(b""): (),
    lambda path: path.write_text("{}\n" * 100): (),
}


@pytest.mark.parametrize(("damage", "facts"), BAD_FILES.items())
def test_damaged_file_is_rejected(tmp_path, damage, facts):
    write_runs(tmp_path, figure(STD))
    path = tmp_path / RUN.path
    damage(path)
    with refusal(path, *facts):
        collected(figure(STD), tmp_path)


def test_metric_that_a_run_does_not_have_is_rejected(tmp_path):
    path = write_run(tmp_path, RUN, [("return", 1, None, 1.0), ("length", 1, None, 1.0)])
    with refusal(path, "metric", "length", "return", "reward"):
        collected(figure(STD | {"metric": "reward"}), tmp_path)


def test_metric_without_values_up_to_the_last_step_gives_an_empty_table(tmp_path):
    write_run(tmp_path, RUN, [("return", 1000, None, 1.0)])
    assert collected(figure(STD), tmp_path).empty


def test_other_parquet_files_are_rejected(tmp_path):
    path = write_run(tmp_path, RUN, [("return", 1, None, 1.0)])
    with refusal(path, "metric", "step", "layer", "value", "panel", "curve"):
        read_collected(path)
    with refusal(tmp_path / "none.parquet"):
        read_collected(tmp_path / "none.parquet")


def test_collecting_a_long_run_takes_little_memory(tmp_path):
    """The rows, 22 bytes each, are never converted to a DataFrame all at once."""
    n = 2_000_000
    names = pa.DictionaryArray.from_arrays(pa.array(np.arange(n) % 20 > 0, pa.int32()), ["return", "other"])
    columns = [names, pa.array(np.arange(n)), pa.nulls(n, pa.int16()), pa.array(np.ones(n))]
    metadata = {b"lop": json.dumps({"format": FORMAT, **about(RUN)})}
    path = tmp_path / RUN.path
    path.parent.mkdir(parents=True)
    pq.write_table(pa.Table.from_arrays(columns, schema=SCHEMA.with_metadata(metadata)), path)
    before = pa.default_memory_pool()
    pa.set_memory_pool(POOL)
    tracemalloc.start()
    try:
        assert collected(figure(STD | {"to": n, "bin": n // 10}), tmp_path)["count"].sum() == n / 20
        peak = POOL.max_memory() + tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(before)
    assert peak < 2 * 22 * n


def test_nulls_in_a_table_are_rejected_except_for_layers_and_nan(tmp_path):
    write_runs(tmp_path, figure())
    path, table = tmp_path / "fig4a.parquet", collected(figure(), tmp_path)
    write_collected(table.assign(value=np.nan), path)
    assert read_collected(path)["value"].isna().all()
    bins = pq.read_table(path)
    bins = bins.replace_schema_metadata(None).set_column(4, "bin", pa.nulls(len(bins), pa.int64()))
    pq.write_table(bins, path)
    with refusal(path, "bin", len(bins)):
        read_collected(path)
