"""Hostile files and arguments, and failures of the machine, end in one line that names the cause."""

import errno
import os
import subprocess
import sys

import pytest
from refusals import error_line, names, refusal

from lop.common.errors import InputError, failures_as_input_errors, told_in_one_line
from lop.common.files import atomic_file
from lop.common.paths import ROOT
from lop.common.ranges import numbers_of
from lop.figures.registry import load_figure
from lop.rl import PROBLEM
from lop.rl.run_ppo import train
from lop.runs.command_line import main
from lop.runs.metrics import read_about
from lop.runs.parameters import read_mapping
from lop.runs.scale import load_scale
from lop.runs.spec import resolve

BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{name}: &{name} [{', '.join(10 * ['*' + before])}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


def start(capsys, *arguments):
    """Start a run that must be refused, and return the message."""
    config = ("-c", ROOT / "lop/rl/cfg/ant/std.yml")
    return error_line(capsys, main, PROBLEM, "", train, [*map(str, config), *map(str, arguments)])


@pytest.mark.parametrize(
    "text",
    [
        *("a: 2020-99-99", "a: !!int abc", "a: !!timestamp abc", "a: !!float x", "a: !!binary \xff"),
        *("a: " + 5_000 * "9", "a: " + 5_000 * "[" + 5_000 * "]", "a: &x [*x]", BOMB),
        *("a: !!python/object:os.system x", "<<: 3", "a: \x01", "? [1]\n: 2", "a: 1\na: 2", "a: *b", "a: %"),
        *('a: "\\0"', 'a: "\\uD800"', '"\\x1b": 1', 'a: [{b: "\\x7f"}]'),
    ],
)
def test_hostile_yaml_is_refused(tmp_path, text):
    path = tmp_path / "some.yml"
    path.write_text(text, "utf-8")
    with refusal(path, "YAML"):
        read_mapping(path)


@pytest.mark.parametrize("value", [5_000 * "[" + 5_000 * "]", "&x [*x]", '"\\uD800"', "{a: 1, a: 2}"])
def test_hostile_yaml_on_the_command_line_is_refused(capsys, value):
    names(start(capsys, "--lr", value), "--lr")


def test_too_many_settings_are_refused():
    with refusal("command line", "lr", "wd", "1,000,000", "10,000"):
        resolve(PROBLEM, "ant/std", 0, "paper", overrides={"lr": list(range(1000)), "wd": list(range(1000))})


def test_empty_list_in_a_mapping_is_refused():
    with refusal("command line", "network_settings.a", []):
        resolve(PROBLEM, "ant/std", 0, "paper", overrides={"network": "m:n", "network_settings": {"a": []}})


def test_error_with_several_lines_is_told_in_one(capsys):
    def command():
        with told_in_one_line():
            raise InputError("a\n  b\udc80")

    assert error_line(capsys, command) == "error: a b\\udc80"


def test_repeated_values_are_allowed(tmp_path):
    (tmp_path / "some.yml").write_text("a: &a {b: 1}\nc: *a\n")
    assert read_mapping(tmp_path / "some.yml") == {"a": {"b": 1}, "c": {"b": 1}}


@pytest.mark.parametrize("value", ["1e308", "9" * 400, ".inf", ".nan", "1e16"])
def test_huge_numbers_are_refused(capsys, value):
    names(start(capsys, "--lr", value), "lr", "allowed")


@pytest.mark.parametrize("seeds", ["0-99999999999", "3-1", "a", "1-", "0x1", "١"])
def test_malformed_or_too_many_seeds_are_refused(capsys, seeds):
    names(start(capsys, "-s", seeds), "--seed", seeds)


def test_ranges_are_limited():
    assert len(numbers_of("0-9999")) == 10_000
    for text in ("0-10000", "0-9998,0-1"):
        with pytest.raises(ValueError, match="10,000"):
            numbers_of(text)


@pytest.mark.parametrize("name", ["../scales/smoke", "smoke/", "", ".", "a b", "smoke\n"])
def test_scale_outside_its_folder_is_refused(name):
    with refusal("scale", "smoke", "config/scales"):
        load_scale(name)


def test_seeds_of_a_figure_are_limited(tmp_path, monkeypatch):
    text = (ROOT / "config/figures.yaml").read_text().replace("seeds: 30", "seeds: 9223372036854775808")
    (tmp_path / "figures.yaml").write_text(text)
    with refusal("seeds", "9223372036854775808", "100"):
        load_figure("fig4a", "paper", tmp_path / "figures.yaml")


def test_log_in_a_folder_is_refused(capsys, tmp_path):
    names(start(capsys, "--log", tmp_path), tmp_path, "directory")


def test_name_that_no_file_can_have_is_refused(capsys):
    line = error_line(capsys, main, PROBLEM, "", train, ["-c", 100_000 * "x" + ".yml"])
    assert len(line) < 2_500


def test_a_fifo_is_refused_instead_of_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "metrics.parquet")
    with refusal(tmp_path / "metrics.parquet", "file"):
        read_about(tmp_path / "metrics.parquet")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EFBIG, errno.EDQUOT])
def test_failed_write_names_the_file(tmp_path, number):
    path = tmp_path / "metrics.parquet"
    with refusal(path, os.strerror(number)), failures_as_input_errors(), atomic_file(path):
        raise OSError(number, os.strerror(number))  # as `write` raises it
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")]
)
def test_lack_of_memory_is_reported(error):
    with refusal("memory"), failures_as_input_errors():
        raise error


def test_errors_of_the_program_keep_their_traceback():
    with pytest.raises(RuntimeError, match="a mistake"), failures_as_input_errors():
        raise RuntimeError("a mistake")


def test_very_long_message_is_shortened(capsys):
    def command():
        with told_in_one_line():
            raise InputError("first " + 100_000 * "x" + " last")

    line = error_line(capsys, command)
    names(line, "first", "last")
    assert len(line) < 2_500


def test_closed_standard_output_is_no_error():
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m lop.plan fig4a --scale smoke >&-"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
