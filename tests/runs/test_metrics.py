"""The log of metrics and its file."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from written import about

from lop.common.errors import InputError
from lop.problems import first_run
from lop.runs.metrics import FORMAT, SCHEMA, MetricsLog, read_about, write_metrics

ABOUT = about(first_run("rl", "ant/std", "smoke", "default"))


def filled() -> MetricsLog:
    log = MetricsLog()
    log.log("return", 10, 1.5)
    log.log("dormant_units", 10, 0.25, 1)
    log.log("return", 30, -2.0)
    return log


ROWS = [
    {"metric": "return", "step": 10, "layer": None, "value": 1.5},
    {"metric": "dormant_units", "step": 10, "layer": 1, "value": 0.25},
    {"metric": "return", "step": 30, "layer": None, "value": -2.0},
]


def test_logged_values_are_written(tmp_path):
    write_metrics(tmp_path / "metrics.parquet", filled(), ABOUT)
    table = pq.read_table(tmp_path / "metrics.parquet")
    assert table.schema.remove_metadata().equals(SCHEMA)
    assert table.to_pylist() == ROWS
    assert read_about(tmp_path / "metrics.parquet") == {"format": FORMAT, **ABOUT}
    assert [p.name for p in tmp_path.iterdir()] == ["metrics.parquet"]


def test_empty_log_gives_an_empty_table(tmp_path):
    write_metrics(tmp_path / "metrics.parquet", MetricsLog(), {})
    assert pq.read_table(tmp_path / "metrics.parquet").num_rows == 0


def test_state_is_restored():
    for log in (filled(), MetricsLog()):
        other = MetricsLog()
        other.log("to be forgotten", 1, 1.0)
        other.load_state_dict(log.state_dict())
        assert other.table().equals(log.table())
        other.log("return", 40, 0.0)
        assert len(other) == len(log) + 1


def test_recent_returns_the_last_values_in_reverse_order():
    log = filled()
    assert log.recent("return", 5) == [-2.0, 1.5]
    assert log.recent("return", 1) == [-2.0]
    assert log.recent("unknown", 1) == []


def test_cut_log_equals_the_log_of_a_shorter_run():
    log, shorter = MetricsLog(), MetricsLog()
    for position in range(4):
        log.position = shorter.position = position
        for one in (log, shorter) if position < 2 else (log,):
            one.log("before", position, 0.5)
            one.log(f"after_{position}", position + 1, 1.5, 2)
    log.cut(2)
    assert log.table().equals(shorter.table())
    assert log.names == shorter.names
    log.cut(0)
    assert (len(log), log.names) == (0, [])


def test_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "metrics.parquet"
    write_metrics(path, filled(), ABOUT)
    with pytest.raises(TypeError):
        write_metrics(path, filled(), {"seed": object()})
    assert read_about(path) == {"format": FORMAT, **ABOUT}


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not parquet at all"])
def test_damaged_file_gives_a_one_line_error(tmp_path, content):
    path = tmp_path / "metrics.parquet"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"metrics\.parquet: truncated or damaged") as error:
        read_about(path)
    assert "\n" not in str(error.value)


def test_other_parquet_file_is_rejected(tmp_path):
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="column `metric`: found None"):
        read_about(tmp_path / "other.parquet")
