"""Archive of a figure and everything it was made from, with metadata that describes how each file was produced.

The archive is an RO-Crate (https://www.researchobject.org/ro-crate) with the profile Process Run Crate. It contains the
figure, its collected table, the metrics of its runs, their cfg files and code, and the figure's files of results that
were computed elsewhere. For every run it describes an action with parameters, times, machine and versions.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from lop.common import sources
from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import ROOT, shown
from lop.figures.registry import FIGURES, Figure, ResultsFile, load_figure
from lop.figures.results_file import digest
from lop.figures.runs import by_path, shown_runs, table_path
from lop.runs.metrics import check_belongs
from lop.runs.published import stored
from lop.runs.scale import scale_path
from lop.runs.spec import KEY_LENGTH, Conditions, RunSpec, layers

PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
MEDIA = {
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".py": "text/x-python",
    ".yml": "application/yaml",
    ".yaml": "application/yaml",
}


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
    crate = _Crate(figure, scale)
    for path, spec in runs.items():
        crate.add_run(spec, check_belongs(stored(path, results), spec), stored(path, results))
    crate.add_figure(figure, scale, table, table_path(figure, shown_ones), figures)
    with atomic_file(output) as temporary:
        crate.crate.write_zip(temporary)
    return len(runs)


class _Crate:
    """Crate with files under their paths in the project, and the actions that produced them."""

    def __init__(self, figure: Figure, scale: str):
        self.crate = ROCrate(version="1.1")
        self.files: dict[str, Entity] = {}
        root = self.crate.root_dataset
        root["name"] = f"Loss of plasticity in deep continual learning: {figure.name} at {scale} scale"
        root["description"] = " ".join(figure.caption.split()) or figure.name
        root["license"] = self.thing("https://spdx.org/licenses/MIT", "CreativeWork", name="MIT License")
        root["conformsTo"] = self.thing(PROFILE, "CreativeWork", name="Process Run Crate", version="0.5")
        root["mentions"] = []

    def add_run(self, spec: RunSpec, about: Mapping[str, Any], metrics: Path) -> None:
        """Add a run's metrics and the action that produced them."""
        place = Path("results", spec.folder)
        origin = about["origin"]
        values = {"seed": spec.seed, spec.parameters.horizon: about["horizon"], **origin["parameters"]}
        machine, modules = about["machine"], spec.parameters.modules(spec.conditions.device_kind)
        self.action(
            f"#{place}",
            name=f"{spec.scale} {spec.name}",
            description=f"{about['seconds']:.0f} seconds, resumed {about['resumed']} times; {about['device']} of "
            f"{machine['node']}: {machine['processor']}, {machine['cores']} cores, {machine['system']}; "
            f"code {sources.combined(origin['code'])}",
            startTime=about["started"],
            endTime=about["ended"],
            instrument=self.program(spec.problem.entry, modules, about["versions"]),
            object=[
                *map(self.file, dict.fromkeys(layer.source for layer in layers(spec.problem, spec.config, spec.scale))),
                *(self.value(f"#{place}/{key}", key, value) for key, value in values.items()),
            ],
            result=[self.file(metrics, place / metrics.name)],
        )

    def add_figure(self, figure: Figure, scale: str, table: Path, place: Path, figures: Path) -> None:
        """Add the table collected from the runs and the files drawn from it."""
        drawn = [f"{figure.name}{suffix}" for suffix in (".pdf", ".png", ".csv")]
        runs = [run for action in self.crate.root_dataset["mentions"] for run in action["result"]]
        panels = figure.curve_panels.values()
        files = [self.results_file(source) for panel in panels for source in panel.file_curves.values()]
        self.action(
            f"#{figure.name}",
            name=f"collect and draw {figure.name}",
            instrument=self.program("lop.figures.draw", ["lop.figures.collect"], {}),
            object=[*runs, *files, self.file(FIGURES), self.file(scale_path(scale))],
            result=[
                self.file(table, Path("results", place)),
                *(self.file(figures / name, Path("figures", name)) for name in drawn),
            ],
        )

    def results_file(self, source: ResultsFile) -> Entity:
        """Add a file of results under a path with its digest, since it may come from anywhere."""
        place = Path("files", digest(source.path)[:KEY_LENGTH], source.path.name)
        return self.file(source.path, place, {"name": source.file})

    def action(self, identity: str, **properties: Any) -> None:
        """Add a completed action and mention it in the crate."""
        status = "http://schema.org/CompletedActionStatus"
        action = self.thing(identity, "CreateAction", actionStatus=status, **properties)
        self.crate.root_dataset.append_to("mentions", action)

    def program(self, module: str, others: Iterable[str], versions: Mapping[str, str]) -> Entity:
        """Add a module with all modules that it and `others` import, and the packages that they require."""
        kinds = ["File", "SoftwareSourceCode", "SoftwareApplication"]
        modules = sources.modules(module, *others)
        parts = {name: self.file(_source(name), properties={"@type": kinds, "name": name}) for name in modules}
        main = parts.pop(module)
        main["hasPart"] = list(parts.values())
        known = main.get("softwareRequirements") or []
        packages = [
            self.thing(f"#{name}-{version}", "SoftwareApplication", name=name, softwareVersion=version)
            for name, version in versions.items()
        ]
        main["softwareRequirements"] = list({entity.id: entity for entity in [*known, *packages]}.values())
        return main

    def file(self, path: Path, place: Path | None = None, properties: Mapping[str, Any] | None = None) -> Entity:
        """Add a file once, by default under its path in the project."""
        name = str(place or path.relative_to(ROOT))
        if name not in self.files:
            if not path.is_file():
                raise InputError(f"{shown(path)}: no such file")
            of_all = {"encodingFormat": MEDIA[path.suffix], "contentSize": path.stat().st_size}
            self.files[name] = self.crate.add_file(path, name, properties=of_all | dict(properties or {}))
        return self.files[name]

    def value(self, identity: str, name: str, value: Any) -> Entity:
        """Add a named value; lists and mappings become JSON text."""
        plain = value if isinstance(value, bool | int | float | str) else json.dumps(value, sort_keys=True)
        return self.thing(identity, "PropertyValue", name=name, value=plain)

    def thing(self, identity: str, kind: str, **properties: Any) -> Entity:
        """Add an entity that is not a file."""
        return self.crate.add(ContextEntity(self.crate, identity, properties={"@type": kind, **properties}))


def _source(module: str) -> Path:
    path = sources.source_file(module)
    assert path is not None, module  # an existing module, since its digest has been computed
    return path
