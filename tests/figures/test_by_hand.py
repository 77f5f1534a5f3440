import os
import subprocess
import sys

import pytest
from synthetic import runs_of
from written import write_run

from lop.common.paths import ROOT
from lop.figures.by_hand import main
from lop.figures.registry import load_figure

FIGURE = load_figure("fig4a", "smoke")
RUNS = {(run.spec.config, run.spec.seed): run.spec for run in runs_of(FIGURE)}
FILES = ["fig4a.csv", "fig4a.pdf", "fig4a.png"]


@pytest.fixture
def smoke(tmp_path, monkeypatch):
    """Results folder with all runs of figure 4a at smoke scale; the current folder is another one."""
    for spec in RUNS.values():
        write_run(tmp_path / "results", spec, [("return", 1000 * i, None, float(i + spec.seed)) for i in range(1, 5)])
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "results"


def run(*argv):
    main("fig4a", ["--scale", "smoke", *map(str, argv)])


def test_all_runs(smoke, capsys):
    run("--results", smoke)
    output, errors = capsys.readouterr()
    assert output.splitlines() == [
        f"{len(RUNS)} of {len(RUNS)} runs in {smoke}:",
        *(f"  {source.runs}: seed 0-1" for source in FIGURE.panels[0].curves.values()),
        "wrote fig4a.pdf fig4a.png fig4a.csv",
    ]
    assert not errors
    assert sorted(os.listdir()) == FILES


def test_some_runs(smoke, capsys):
    for missing in (("ant/ns", 0), ("ant/l2", 0), ("ant/l2", 1)):
        (smoke / RUNS[missing].path).unlink()
    run("--results", smoke)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{len(RUNS) - 3} of {len(RUNS)} runs in {smoke}:"
    assert lines[2:4] == ["  rl/ant/ns: seed 1; missing: 0", "  rl/ant/l2: none; missing: 0-1"]
    command = f"`snakemake figures/fig4a.pdf --cores all --config scale=smoke results={smoke}` in {ROOT}"
    assert lines[-2].startswith(command)
    assert sorted(os.listdir()) == FILES


def refused(capsys, *argv):
    with pytest.raises(SystemExit) as stop:
        run(*argv)
    assert stop.value.code == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert not os.listdir()
    return errors


@pytest.mark.parametrize("options", [["--results", "none"], ["--device", "cuda"], ["--scale", "laptop"]])
def test_no_runs_at_all_names_the_command_that_makes_them(smoke, options, capsys):
    """Runs of another device or scale are others."""
    error = refused(capsys, "--results", smoke, *options)
    assert "no runs of fig4a" in error
    assert "`snakemake figures/fig4a.pdf --cores all" in error


def test_bad_input_is_one_line(smoke, capsys):
    assert "scale: found 'smok', allowed" in refused(capsys, "--scale", "smok", "--results", smoke)
    path = smoke / RUNS["ant/l2", 1].path
    path.write_bytes(path.read_bytes()[:100])
    assert f"{path}: truncated or damaged" in refused(capsys, "--results", smoke)


def test_the_script_draws_into_the_current_folder(smoke):
    script = [sys.executable, ROOT / "lop/rl/plots/fig4a.py", "--scale", "smoke", "--results", smoke]
    subprocess.run(script, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, check=True)
    assert sorted(os.listdir()) == FILES
