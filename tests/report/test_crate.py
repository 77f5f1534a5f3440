"""The research object (RO-Crate) of a figure: all files and their provenance."""

import json
import shutil
import zipfile
from urllib.parse import quote

import pytest
from refusals import refusal
from written import write_run

from lop.common.paths import ROOT
from lop.figures.collect import collect, write_collected
from lop.figures.draw import draw
from lop.figures.registry import load_figure
from lop.figures.runs import shown_runs, table_path
from lop.report.crate import write_crate
from lop.runs.spec import Conditions

CONDITIONS = Conditions()
FIGURE = load_figure("fig4a", "smoke")
RUNS = shown_runs(FIGURE, CONDITIONS)
TABLE = table_path(FIGURE, RUNS)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Return the folders of results and figures with all files of figure 4a, which tests must not change."""
    results, figures = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("figures")
    for spec in (run.spec for run in RUNS):
        rows = [("return", step, None, step / 100 + spec.seed) for step in range(2_048, 10_241, 2_048)]
        write_run(results, spec, rows)
    table = collect(FIGURE, RUNS, results)
    write_collected(table, results / TABLE)
    draw(table, FIGURE, figures)
    return results, figures


def references(value):
    if isinstance(value, dict):
        found = (
            [value["@id"]] if set(value) == {"@id"} else [one for part in value.values() for one in references(part)]
        )
    else:
        found = [one for part in value for one in references(part)] if isinstance(value, list) else []
    return found


def test_every_file_has_its_provenance(drawn, tmp_path):
    results, figures = drawn
    assert write_crate("fig4a", "smoke", results, results / TABLE, figures, CONDITIONS, tmp_path / "fig4a.zip") == 8
    with zipfile.ZipFile(tmp_path / "fig4a.zip") as crate:
        assert crate.testzip() is None
        names = set(crate.namelist())
        graph = {one["@id"]: one for one in json.loads(crate.read("ro-crate-metadata.json"))["@graph"]}
        assert crate.read("lop/rl/cfg/ant/cbp.yml") == (ROOT / "lop/rl/cfg/ant/cbp.yml").read_bytes()
        assert crate.read("figures/fig4a.pdf") == (figures / "fig4a.pdf").read_bytes()
    assert {
        "config/scales/smoke.yaml",
        "config/figures.yaml",
        "lop/engines/ppo/agent.py",
        "lop/figures/draw.py",
    } <= names
    assert set(references(list(graph.values()))) <= graph.keys() | {"https://w3id.org/ro/crate/1.1"}
    files = {name for name, thing in graph.items() if "File" in thing["@type"]}
    assert files == {quote(name) for name in names} - {"ro-crate-metadata.json"}

    made = {result: action for action in graph.values() for result in references(action.get("result", []))}
    assert {name for name in files if name.startswith(("results/", "figures/"))} == set(made)
    assert f"results/{table_path(FIGURE, RUNS)}" in made
    (cbp,) = (run.spec for run in RUNS if run.spec.name == "rl/ant/cbp seed 1")
    run = made[quote(f"results/{cbp.path}")]
    assert run["@type"] == "CreateAction"
    assert (run["startTime"], run["endTime"]) == ("2026-01-02T02:34:05", "2026-01-02T03:04:05")
    assert "here" in run["description"]
    values = {one["name"]: one["value"] for one in map(graph.get, references(run["object"])) if "value" in one}
    assert (values["seed"], values["rr"], values["h_dim"]) == (1, 0.0001, "[256, 256]")
    assert values["n_steps"] == cbp.horizon
    program = graph[run["instrument"]["@id"]]
    assert program["name"] == "lop.rl.run_ppo"
    assert "lop/engines/ppo/agent.py" in references(program["hasPart"])
    packages = map(graph.get, references(program["softwareRequirements"]))
    assert {(one["name"], one["softwareVersion"]) for one in packages} == {("python", "3.11"), ("torch", "2")}
    drawing = made["figures/fig4a.pdf"]
    assert {quote(f"results/{run.spec.path}") for run in RUNS} <= set(references(drawing["object"]))


def refused(results, figures, folder, *facts):
    """Check that no crate is written, and that the error names the facts."""
    with refusal(*facts):
        write_crate("fig4a", "smoke", results, results / TABLE, figures, CONDITIONS, folder / "crates/x.zip")
    assert not list(folder.glob("crates/*"))


def test_missing_figure_is_rejected(drawn, tmp_path):
    refused(drawn[0], tmp_path, tmp_path, tmp_path / "fig4a.pdf")


def test_metrics_of_another_run_are_rejected(drawn, tmp_path):
    results, spec = shutil.copytree(drawn[0], tmp_path / "results"), RUNS[0].spec
    path = write_run(results, spec, [], origin=spec.origin | {"code": {}})
    refused(results, drawn[1], tmp_path, path, "code")


def test_missing_table_is_rejected(drawn, tmp_path):
    results = shutil.copytree(drawn[0], tmp_path / "results")
    table = results / table_path(FIGURE, RUNS)
    table.unlink()
    refused(results, drawn[1], tmp_path, table)
