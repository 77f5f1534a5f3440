"""The research object (RO-Crate) of a figure: all files and their provenance."""

import io
import json
import re
import shutil
import zipfile
from importlib import resources
from urllib.parse import quote

import pytest
import requests
from refusals import refusal
from rocrate_validator.models import Severity, ValidationSettings
from rocrate_validator.services import validate
from written import about, write_run

from lop.common.paths import ROOT
from lop.figures.collect import collect, write_collected
from lop.figures.draw import draw
from lop.figures.registry import load_figure
from lop.figures.runs import by_path, shown_runs, table_path
from lop.report.crate import write_crate
from lop.runs.spec import Conditions

CONDITIONS = Conditions()
FIGURE = load_figure("fig4a", "smoke")
RUNS = shown_runs(FIGURE, CONDITIONS)
TABLE = table_path(FIGURE, RUNS)
CONTEXT = "https://w3id.org/ro/crate/1.1/context"
TERMS = {  # of this context, where that of RO-Crate 1.3 differs
    "ComputationalWorkflow": "https://bioschemas.org/ComputationalWorkflow",
    "FormalParameter": "https://bioschemas.org/FormalParameter",
    "input": "https://bioschemas.org/ComputationalWorkflow#input",
    "output": "https://bioschemas.org/ComputationalWorkflow#output",
}
SKIPPED = {  # recommended checks
    "process-run-crate-0.5_3.2": "source files and packages have no URL that is part of the record",
    "process-run-crate-0.5_5.1": "source files are identified by their paths in the archive",
    "process-run-crate-0.5_8.6": "the record does not name who started a run",
    "ro-crate-1.1_22.3": "nobody has published the archive when it is written",
    "ro-crate-1.1_31.2": "CITATION.cff names no URL of the authors",
}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Return the folders of results and figures with all files of figure 4a, which tests must not change."""
    results, figures = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("figures")
    build(FIGURE, RUNS, "return", results, figures)
    return results, figures


def build(figure, runs, metric, results, figures):
    """Write synthetic runs of a figure, its table and its drawing."""
    for spec in by_path(runs).values():
        steps = range(spec.horizon // 5, spec.horizon + 1, spec.horizon // 5)
        write_run(results, spec, [(metric, step, None, step / 100 + spec.seed) for step in steps])
    table = collect(figure, runs, results)
    write_collected(table, results / table_path(figure, runs))
    draw(table, figure, figures)


@pytest.fixture
def offline(monkeypatch):
    """Refuse all requests except that for the JSON-LD context; of it, the package rocrate contains version 1.3."""
    context = json.loads(resources.files("rocrate").joinpath("data/ro-crate.jsonld").read_text("utf-8"))
    context["@context"] |= TERMS

    def send(adapter, request, **_):
        if request.url != CONTEXT:
            raise requests.ConnectionError(request.url)
        response = requests.Response()
        response.status_code, response.url, response.request = 200, request.url, request
        response.headers["Content-Type"] = "application/ld+json"
        response.raw = io.BytesIO(json.dumps(context).encode())
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", send)


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
    outside = set(references(list(graph.values()))) - graph.keys()
    assert all(reference.startswith("https://") for reference in outside)
    files = {name for name, thing in graph.items() if "File" in thing["@type"]}
    assert files == {quote(name) for name in names} - {"ro-crate-metadata.json"}

    actions = [one for one in graph.values() if one["@type"] == "CreateAction" and one["@id"] != "#workflow"]
    made = {result: action for action in actions for result in references(action["result"])}
    assert {name for name in files if name.startswith(("results/", "figures/"))} == set(made)
    assert f"results/{table_path(FIGURE, RUNS)}" in made
    (cbp,) = (run.spec for run in RUNS if run.spec.name == "rl/ant/cbp seed 1")
    run = made[quote(f"results/{cbp.path}")]
    assert (run["startTime"], run["endTime"]) == ("2026-01-02T02:34:05+00:00", "2026-01-02T03:04:05+00:00")
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

    workflow = graph[graph["./"]["mainEntity"]["@id"]]
    assert "workflow/rules/train.smk" in references(workflow["hasPart"])
    whole = graph["#workflow"]
    assert whole["instrument"]["@id"] == workflow["@id"]
    assert set(references(whole["result"])) == set(made)
    assert (whole["startTime"], whole["endTime"]) == (run["startTime"], drawing["endTime"])
    inputs = [graph[reference] for reference in references(workflow["input"])]
    examples = {one["name"]: graph[one["workExample"]["@id"]] for one in inputs}
    assert (examples["figure"]["value"], examples["scale"]["value"]) == ("fig4a", "smoke")
    assert examples["size"]["@id"] == "config/scales/smoke.yaml"
    outputs = [graph[reference] for reference in references(workflow["output"])]
    assert {file for one in outputs for file in references(one["workExample"])} == set(made)


def test_validator_accepts_the_crate(drawn, offline, tmp_path):
    results, figures = drawn
    write_crate("fig4a", "smoke", results, results / TABLE, figures, CONDITIONS, tmp_path / "fig4a.zip")
    settings = ValidationSettings(
        rocrate_uri=str(tmp_path / "fig4a.zip"),
        profile_identifier="workflow-run-crate-0.5",
        requirement_severity=Severity.RECOMMENDED,
        skip_checks=list(SKIPPED),
        no_cache=True,
    )
    assert not [f"{issue.check.identifier}: {issue.message}" for issue in validate(settings).get_issues()]


def test_machines_of_a_continued_run_are_recorded(drawn, tmp_path):
    results, spec = shutil.copytree(drawn[0], tmp_path / "results"), RUNS[0].spec
    earlier = about(spec)
    part = {"from": 0, "machine": earlier["machine"] | {"node": "there"}, "versions": {"python": "3.12", "torch": "2"}}
    write_run(results, spec, [("return", 2_048, None, 1.0)], earlier=[part])
    write_crate("fig4a", "smoke", results, results / TABLE, drawn[1], CONDITIONS, tmp_path / "fig4a.zip")
    with zipfile.ZipFile(tmp_path / "fig4a.zip") as crate:
        graph = {one["@id"]: one for one in json.loads(crate.read("ro-crate-metadata.json"))["@graph"]}
    assert re.search("there: .* then here: ", graph[f"#results/{spec.path.with_suffix('')}"]["description"])
    assert {"#python-3.12", "#python-3.11"} <= graph.keys()


def test_runs_of_different_lengths_have_their_own_actions(tmp_path):
    figure = load_figure("ed3b", "laptop")
    runs, zipped = shown_runs(figure, CONDITIONS), tmp_path / "ed3b.zip"
    build(figure, runs, "online_accuracy", tmp_path / "results", tmp_path / "figures")
    paths = set(by_path(runs))
    assert len({path.parent for path in paths}) < len(paths)
    table = tmp_path / "results" / table_path(figure, runs)
    write_crate("ed3b", "laptop", tmp_path / "results", table, tmp_path / "figures", CONDITIONS, zipped)
    with zipfile.ZipFile(zipped) as crate:
        graph = json.loads(crate.read("ro-crate-metadata.json"))["@graph"]
    made = [references(one["result"]) for one in graph if one["@type"] == "CreateAction" and "startTime" in one]
    assert {quote(f"results/{path}") for path in paths} <= {name for names in made if len(names) == 1 for name in names}


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
