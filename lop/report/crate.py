"""Archive of a figure and everything it was made from, with metadata that describes how each file was produced.

The archive is an RO-Crate (https://www.researchobject.org/ro-crate) with the profile Workflow Run Crate. It contains
the figure, its collected table, the metrics of its runs, their cfg files and code, the workflow, and the figure's files
of results that were computed elsewhere. It describes the actions that produced these files: each run with its
parameters, times, machine and versions, the drawing of the figure, and the execution of the workflow as a whole.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rocrate.model.entity import Entity

from lop.common import sources
from lop.common.paths import ROOT
from lop.figures.registry import FIGURES, Figure, load_figure
from lop.figures.results_file import digest
from lop.figures.runs import by_path, shown_runs, table_path
from lop.report.run_crate import RunCrate
from lop.runs.metrics import check_belongs
from lop.runs.published import stored
from lop.runs.scale import scale_path
from lop.runs.spec import KEY_LENGTH, Conditions, RunSpec, layers

WORKFLOW = ROOT / "workflow"
INPUTS = {
    "figure": "name of the figure",
    "scale": "name of the scale",
    "device": "device on which networks are trained",
    "images": "source and seed of the images; sets of which the scale selects the originals",
    "figures": "definitions of the figures",
    "size": "lengths and other parameters of the runs at this scale",
    "files": "results that were computed elsewhere",
}
OUTPUTS = {
    "pdf": "the figure",
    "png": "the figure",
    "csv": "numbers that the figure shows",
    "table": "metrics that the figure shows, averaged in bins",
    "metrics": "all metrics of each run",
}
README = """\
# {title}

{caption}

| path | contents |
|---|---|
| `figures` | the figure as PDF and PNG, and the plotted numbers |
| `results` | metrics of the {runs} runs, and the table collected from them |
| `config`, `lop/*/cfg` | what the figure shows, and the parameters of the runs |
| `lop`, `workflow` | code of the runs, of the figure and of the workflow |
| `files` | results that were computed elsewhere, if the figure shows any |
| `ro-crate-metadata.json` | how each file was produced: parameters, seeds, times, machines, versions |

In a copy of lop {version} with this code and configuration, this command repeats the figure and its missing runs:

    snakemake figures/{name}.pdf --cores 8 --config scale={scale}
"""


def write_crate(
    name: str, scale: str, results: Path, table: Path, figures: Path, conditions: Conditions, output: Path
) -> int:
    """Write the crate of a figure.

    Args:
        name: name of the figure.
        scale: scale of its runs.
        results: folder of all runs.
        table: collected table of the figure.
        figures: folder of the drawn figure.
        conditions: images and device of the runs.
        output: path of the zip file to write.

    Returns:
        Number of runs in the crate.

    Raises:
        InputError: the figure, its table or a run is missing or damaged.
    """
    figure = load_figure(name, scale)
    shown_ones = shown_runs(figure, conditions)
    runs = by_path(shown_ones)
    title = f"Loss of plasticity in deep continual learning: {name} at {scale} scale"
    caption = " ".join(figure.caption.split()) or name
    crate = RunCrate(title, caption)
    metrics = [
        _add_run(crate, spec, check_belongs(stored(path, results), spec), stored(path, results))
        for path, spec in runs.items()
    ]
    collected = crate.file(table, Path("results", table_path(figure, shown_ones)))
    files = _add_results_files(crate, figure)
    made = _add_figure(crate, figure, [*metrics, *files], collected, figures)
    _add_workflow(crate, name, scale, conditions, files, metrics, made)
    crate.readme(
        README.format(title=title, caption=caption, runs=len(runs), version=crate.version, name=name, scale=scale)
    )
    crate.write(output)
    return len(runs)


def _add_run(crate: RunCrate, spec: RunSpec, about: Mapping[str, Any], metrics: Path) -> Entity:
    """Add the action that produced a run's metrics, and return the metrics."""
    place, parameters = Path("results", spec.path), spec.parameters
    identity = f"#{place.with_suffix('')}"
    origin, parts = about["origin"], [*about["earlier"], about]  # one part per machine and set of versions
    values = {"seed": spec.seed, parameters.horizon: about["horizon"], **origin["parameters"]}
    machines = dict.fromkeys(_machine(part["machine"]) for part in parts)
    packages = dict.fromkeys(package for part in parts for package in part["versions"].items())
    result = crate.file(metrics, place)
    crate.action(
        identity,
        name=f"{spec.scale} {spec.name}",
        description=f"{about['seconds']:.0f} seconds, resumed {about['resumed']} times; {about['device']} of "
        f"{', then '.join(machines)}; code {sources.combined(origin['code'])}",
        startTime=about["started"],
        endTime=about["ended"],
        instrument=crate.program(spec.problem.entry, parameters.modules(spec.conditions.device_kind), packages),
        object=[
            *map(crate.file, dict.fromkeys(layer.source for layer in layers(spec.problem, spec.config, spec.scale))),
            *(crate.value(f"{identity}/{key}", key, value) for key, value in values.items()),
        ],
        result=result,
    )
    return result


def _machine(machine: Mapping[str, Any]) -> str:
    return f"{machine['node']}: {machine['processor']}, {machine['cores']} cores, {machine['system']}"


def _add_results_files(crate: RunCrate, figure: Figure) -> list[Entity]:
    """Add the figure's files of results, under paths with their digests, since they may come from anywhere."""
    curves = [curve for panel in figure.curve_panels.values() for curve in panel.file_curves.values()]
    return [
        crate.file(path, Path("files", digest(path)[:KEY_LENGTH], path.name), {"name": name})
        for path, name in {curve.path: curve.file for curve in curves}.items()
    ]


def _add_figure(crate: RunCrate, figure: Figure, shown: list[Entity], table: Entity, folder: Path) -> dict[str, Entity]:
    """Add the action that collected the table and drew the figure, and return {output: file}."""
    files = {kind: folder / f"{figure.name}.{kind}" for kind in ("pdf", "png", "csv")}
    made = {kind: crate.file(file, Path("figures", file.name)) for kind, file in files.items()}
    drawn = max(file.stat().st_mtime for file in files.values())
    crate.action(
        f"#{figure.name}",
        name=f"collect and draw {figure.name}",
        description=f"Collect the results of {len(shown)} files in one table and draw it.",
        endTime=datetime.fromtimestamp(drawn, UTC).isoformat(timespec="seconds"),
        instrument=crate.program("lop.figures.draw", ["lop.figures.collect", *(one.module for one in figure.pictures)]),
        object=[*shown, crate.file(FIGURES)],
        result=[table, *made.values()],
    )
    return {"table": table, **made}


def _add_workflow(
    crate: RunCrate,
    name: str,
    scale: str,
    conditions: Conditions,
    elsewhere: list[Entity],
    metrics: list[Entity],
    made: Mapping[str, Entity],
) -> None:
    """Add the workflow with its inputs and outputs, and the action that stands for its executions."""
    workflow = crate.workflow(
        WORKFLOW / "Snakefile", sorted([*WORKFLOW.glob("rules/*.smk"), *WORKFLOW.glob("scripts/*.py")])
    )
    values = {"figure": name, "scale": scale, "device": conditions.device, "images": asdict(conditions.images)}
    inputs = {key: crate.value(f"#workflow/{key}", key, value) for key, value in values.items()}
    files = {"figures": [crate.file(FIGURES)], "size": [crate.file(scale_path(scale))], "files": elsewhere}
    for key, value in inputs.items():
        crate.parameter("input", key, "Text", INPUTS[key], [value])
    for key, entities in files.items():
        crate.parameter("input", key, "File", INPUTS[key], entities)
    for key, file in made.items():
        crate.parameter("output", key, "File", OUTPUTS[key], [file])
    crate.parameter("output", "metrics", "File", OUTPUTS["metrics"], metrics)
    steps = crate.root["mentions"]
    started = [step["startTime"] for step in steps if "startTime" in step]  # of the runs, if the figure has any
    crate.action(
        "#workflow",
        name=f"snakemake figures/{name}.pdf --config scale={scale}",
        description=f"All executions of the workflow that contributed: {len(metrics)} runs, then the figure.",
        **({"startTime": min(started)} if started else {}),
        endTime=max(step["endTime"] for step in steps),
        instrument=workflow,
        object=[*inputs.values(), *(file for entities in files.values() for file in entities)],
        result=[*made.values(), *metrics],
    )
