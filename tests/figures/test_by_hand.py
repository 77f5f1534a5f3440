import os
import subprocess
import sys

import pytest
from synthetic import write_run

from lop.common.paths import ROOT
from lop.figures.by_hand import as_configured, main
from lop.figures.registry import load_figure

FIGURE = load_figure("fig4a", "smoke")


@pytest.fixture
def smoke(tmp_path, monkeypatch):
    """Results folder with all runs of figure 4a at smoke scale; the current folder is another one."""
    for run in FIGURE.runs(FIGURE.panels[0]):
        rows = [("return", 1000 * i, None, float(i + run.seed)) for i in range(1, 5)]
        configured = as_configured(run)
        write_run(tmp_path / "results" / run.path, rows, run.seed, configured["parameters"], configured["code_digest"])
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "results"


def run(*argv):
    main("fig4a", ["--scale", "smoke", *map(str, argv)])


def test_all_runs(smoke, capsys):
    run("--results", smoke)
    output, errors = capsys.readouterr()
    assert output.splitlines() == [
        f"{len(FIGURE.files())} of {len(FIGURE.files())} runs in {smoke}:",
        *(f"  {source.runs}: seed 0-1" for source in FIGURE.panels[0].curves.values()),
        "wrote fig4a.pdf fig4a.png fig4a.csv",
    ]
    assert not errors
    assert sorted(os.listdir()) == ["fig4a.csv", "fig4a.pdf", "fig4a.png"]


def test_some_runs(smoke, capsys):
    for name in ("ns/default/seed-0", "l2/default/seed-0", "l2/default/seed-1"):
        (smoke / "smoke/rl/ant" / name / "metrics.parquet").unlink()
    run("--results", smoke)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{len(FIGURE.files()) - 3} of {len(FIGURE.files())} runs in {smoke}:"
    assert lines[2:4] == ["  rl/ant/ns: seed 1; missing: 0", "  rl/ant/l2: none; missing: 0-1"]
    assert lines[-2] == (
        f"`snakemake figures/fig4a.pdf --cores all --config scale=smoke results={smoke}` in {ROOT}"
        " makes those that are missing"
    )
    assert lines[-1] == "wrote fig4a.pdf fig4a.png fig4a.csv"


def test_runs_that_are_out_of_date_are_named(smoke, capsys):
    path = smoke / "smoke/rl/ant/l2/default/seed-1/metrics.parquet"
    run_of_l2 = next(run for run in FIGURE.runs(FIGURE.panels[0]) if run.config == "ant/l2")
    parameters = as_configured(run_of_l2)["parameters"]
    write_run(path, [("return", 10, None, 1.0)], 1, parameters | {"wd": 7.0})
    run("--results", smoke)
    line = f"used, but out of date: 1 of rl/ant/l2: parameters.wd: found 7.0, expected {parameters['wd']}"
    assert line in capsys.readouterr().out.splitlines()


def refused(capsys, *argv):
    with pytest.raises(SystemExit) as stop:
        run(*argv)
    assert stop.value.code == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert not os.listdir()
    return errors


def test_no_runs_at_all_names_the_command_that_makes_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    error = refused(capsys, "--results", "none")
    assert error.startswith("error: no runs of fig4a in none/smoke; `snakemake figures/fig4a.pdf --cores all")
    assert error.endswith(f" in {ROOT} makes them\n")


def test_bad_input_is_one_line(smoke, capsys):
    assert "scale: found 'smok', allowed" in refused(capsys, "--scale", "smok", "--results", smoke)
    path = smoke / "smoke/rl/ant/l2/default/seed-1/metrics.parquet"
    path.write_bytes(path.read_bytes()[:100])
    assert f"{path}: truncated or damaged" in refused(capsys, "--results", smoke)


def test_the_script_draws_into_the_current_folder(smoke):
    script = [sys.executable, ROOT / "lop/rl/plots/fig4a.py", "--scale", "smoke", "--results", smoke]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(script, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("wrote fig4a.pdf fig4a.png fig4a.csv\n")
    assert sorted(os.listdir()) == ["fig4a.csv", "fig4a.pdf", "fig4a.png"]
