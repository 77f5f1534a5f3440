"""Scripts that draw a figure from existing runs."""

import os
import shlex
import subprocess
import sys

import pytest
import yaml
from refusals import error_line, names
from snakemake.cli import parse_config
from snakemake.utils import update_config
from synthetic import runs_of
from written import write_run

from lop.common.paths import ROOT
from lop.figures import by_hand
from lop.figures.by_hand import main
from lop.figures.registry import load_figure
from lop.problems import PROBLEMS
from lop.runs.configured import check_config, conditions

FIGURE = load_figure("fig4a", "smoke")
RUNS = {(run.spec.config, run.spec.seed): run.spec for run in runs_of(FIGURE)}
FILES = ["fig4a.csv", "fig4a.pdf", "fig4a.png"]


@pytest.fixture
def smoke(tmp_path, monkeypatch):
    """Return a folder with all runs of figure 4a at smoke scale, and make another folder current."""
    for spec in RUNS.values():
        write_run(tmp_path / "results", spec, [("return", 1000 * i, None, float(i + spec.seed)) for i in range(1, 5)])
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "results"


def run(*argv):
    main("fig4a", ["--scale", "smoke", *map(str, argv)])


def test_figure_is_drawn_from_all_runs(smoke, capsys):
    run("--results", smoke)
    output, errors = capsys.readouterr()
    assert output.splitlines() == [
        f"{len(RUNS)} of {len(RUNS)} runs in {smoke}:",
        *(f"  {source.runs}: seed 0-1" for source in FIGURE.panels[0].curves.values()),
        "wrote fig4a.pdf fig4a.png fig4a.csv",
    ]
    assert not errors
    assert sorted(os.listdir()) == FILES


def test_figure_is_drawn_from_some_runs_and_missing_ones_are_listed(smoke, capsys):
    for missing in (("ant/ns", 0), ("ant/l2", 0), ("ant/l2", 1)):
        (smoke / RUNS[missing].path).unlink()
    run("--results", smoke)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{len(RUNS) - 3} of {len(RUNS)} runs in {smoke}:"
    assert lines[2:4] == ["  rl/ant/ns: seed 1; missing: 0", "  rl/ant/l2: none; missing: 0-1"]
    command = f"`snakemake figures/fig4a.pdf --cores all --config scale=smoke results={smoke}` in {ROOT}"
    assert lines[-2].startswith(command)
    assert sorted(os.listdir()) == FILES


def refused(capsys, arguments, *facts):
    """Check that the error names the facts, and that nothing is drawn."""
    names(error_line(capsys, run, *arguments), *facts)
    assert not os.listdir()


@pytest.mark.parametrize(
    "options", [["--results", "none"], ["--device", "cuda", "--gpu-problems", "rl"], ["--scale", "laptop"]]
)
def test_error_without_runs_names_the_snakemake_command(smoke, options, capsys):
    """Runs with another device or at another scale are different runs."""
    refused(capsys, ("--results", smoke, *options), "snakemake figures/fig4a.pdf --cores all")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--data-seed", "3"], conditions("smoke", "cpu", None, 3)),
        (["--data-source", "original"], conditions("smoke", "cpu", "original", 0)),
        (["--device", "cuda", "--gpu-problems", "rl"], conditions("smoke", "cuda", None, 0)),
        (["--device", "cuda", "--gpu-problems", "imagenet"], conditions("smoke", "cpu", None, 0)),
    ],
)
def test_suggested_command_selects_the_same_runs(options, expected, tmp_path, monkeypatch, capsys):
    """Snakemake merges the options of the command with config.yaml."""
    monkeypatch.chdir(tmp_path)
    line = error_line(capsys, run, "--results", "my results", *options)
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    update_config(config, parse_config(shlex.split(line.split("`")[1])[5:]))
    chosen = check_config(config)
    assert (chosen.scale, chosen.results) == ("smoke", f"{tmp_path}/my results")
    assert chosen.conditions.of("rl") == expected.of("rl")


def test_unknown_problem_of_a_gpu_is_rejected(capsys):
    names(error_line(capsys, run, "--gpu-problems", "rll"), "gpu-problems", "rll", *PROBLEMS)


def test_unknown_scale_and_damaged_file_are_rejected(smoke, capsys):
    refused(capsys, ("--scale", "smok", "--results", smoke), "scale", "smok", "smoke", "laptop", "paper")
    path = smoke / RUNS["ant/l2", 1].path
    path.write_bytes(path.read_bytes()[:100])
    refused(capsys, ("--results", smoke), path)


def test_error_without_the_images_of_a_picture_names_the_command_that_creates_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(by_hand, "PROJECT", tmp_path)
    monkeypatch.chdir(tmp_path)
    line = error_line(capsys, main, "ed3a", ["--scale", "smoke"])
    names(line, "train-images-idx3-ubyte.gz", f"`python -m lop.data mnist --data {tmp_path / 'data'}`")
    assert not os.listdir()


def test_script_draws_into_the_current_folder(smoke):
    script = [sys.executable, ROOT / "lop/rl/plots/fig4a.py", "--scale", "smoke", "--results", smoke]
    subprocess.run(script, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    assert sorted(os.listdir()) == FILES
