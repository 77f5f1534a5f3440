"""Archives with the profile Workflow Run Crate: a workflow, and the actions that produced the files of the archive.

The profile is specified at https://www.researchobject.org/workflow-run-crate/profiles/workflow_run_crate. It extends
RO-Crate 1.1.
"""

import json
from collections.abc import Iterable, Sequence
from importlib import metadata
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import yaml
from rocrate.model.contextentity import ContextEntity
from rocrate.model.entity import Entity
from rocrate.rocrate import ROCrate

from lop.common import sources
from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import PROJECT, ROOT, shown

PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": "Process Run Crate",
    "https://w3id.org/ro/wfrun/workflow/0.5": "Workflow Run Crate",
    "https://w3id.org/workflowhub/workflow-ro-crate/1.0": "Workflow RO-Crate",
}
WORKFLOW_PROFILE = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
COMPLETED = "http://schema.org/CompletedActionStatus"
SOURCE_CODE = ["File", "SoftwareSourceCode"]
MEDIA = {
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".py": "text/x-python",
    ".yml": "application/yaml",
    ".yaml": "application/yaml",
    ".cff": "application/yaml",
}


class RunCrate:
    """Archive with files under their paths in the project, and the actions that produced them.

    Args:
        name: title of the archive.
        description: what it contains.
    """

    def __init__(self, name: str, description: str):
        self.crate = ROCrate(version="1.1")
        self.files: dict[str, Entity] = {}
        self.version = metadata.version(sources.PACKAGE)
        self.root = self.crate.root_dataset
        self.root["name"], self.root["description"] = name, description
        self.root["conformsTo"] = [
            self.thing(profile, "CreativeWork", name=title, version=profile.rpartition("/")[2])
            for profile, title in PROFILES.items()
        ]
        self.root["mentions"] = []
        self._add_origin()

    def workflow(self, path: Path, parts: Iterable[Path]) -> Entity:
        """Add a Snakemake workflow as the main entity, with the files that it includes."""
        workflow = self.crate.add_workflow(
            *(path, _place(path)),
            properties={
                **_format(path),
                "name": f"workflow of {sources.PACKAGE}",
                "version": self.version,
                "conformsTo": self.thing(WORKFLOW_PROFILE, "CreativeWork", name="Bioschemas ComputationalWorkflow"),
            },
            main=True,
            lang="snakemake",
            lang_version=metadata.version("snakemake"),
        )
        workflow["hasPart"] = [self.source_code(part) for part in parts]
        return workflow

    def parameter(
        self, role: Literal["input", "output"], name: str, kind: str, description: str, examples: Sequence[Entity]
    ) -> None:
        """Add an input or output of the main entity, unless this run had no value or file for it.

        Args:
            role: whether it is an input or an output.
            name: its name.
            kind: its type, such as `Text` or `File`.
            description: its meaning.
            examples: its values or files.
        """
        if not examples:
            return
        parameter = self.crate.add_formal_parameter(name, kind, f"#{role}-{name}", description)
        for example in examples:
            parameter.append_to("workExample", example)
            example.append_to("exampleOfWork", parameter)
        self.crate.mainEntity.append_to(role, parameter)

    def action(self, identity: str, **properties: Any) -> None:
        """Add a completed action and mention it in the crate."""
        self.root.append_to("mentions", self.thing(identity, "CreateAction", actionStatus=COMPLETED, **properties))

    def program(self, module: str, others: Iterable[str] = (), packages: Iterable[tuple[str, str]] = ()) -> Entity:
        """Add a module with the modules that it and `others` import, and the (name, version) of required packages."""
        parts = {name: self.source_code(_source(name), name) for name in sources.modules(module, *others)}
        main = parts.pop(module)
        main["hasPart"] = list(parts.values())
        for name, version in packages:
            package = self.thing(f"#{name}-{version}", "SoftwareApplication", name=name, softwareVersion=version)
            if package not in main.get("softwareRequirements", []):
                main.append_to("softwareRequirements", package)
        return main

    def source_code(self, path: Path, name: str = "") -> Entity:
        """Add a file of this project's code, named by its path unless `name` is given."""
        properties = {"@type": SOURCE_CODE, "name": name or _place(path), "version": self.version}
        return self.file(path, properties=properties)

    def file(self, path: Path, place: Path | None = None, properties: dict[str, Any] | None = None) -> Entity:
        """Add a file once, by default under its path in the project."""
        name = str(place or _place(path))
        if name not in self.files:
            if not path.is_file():
                raise InputError(f"{shown(path)}: no such file")
            self.files[name] = self.crate.add_file(path, name, properties=_format(path) | (properties or {}))
        return self.files[name]

    def readme(self, text: str) -> None:
        """Add the page that describes the archive to its readers."""
        about = {"about": self.root, "encodingFormat": "text/markdown"}
        self.crate.add_file(StringIO(text), "README.md", properties=about)

    def value(self, identity: str, name: str, value: Any) -> Entity:
        """Add a named value; lists and mappings become JSON text."""
        plain = value if isinstance(value, bool | int | float | str) else json.dumps(value, sort_keys=True)
        return self.thing(identity, "PropertyValue", name=name, value=plain)

    def thing(self, identity: str, kind: str, **properties: Any) -> Entity:
        """Add an entity that is not a file."""
        return self.crate.add(ContextEntity(self.crate, identity, properties={"@type": kind, **properties}))

    def write(self, path: Path) -> None:
        """Write the archive as a zip file, atomically."""
        for entity in self.crate.get_entities():
            for key, values in list(entity.items()):
                if isinstance(values, list) and len(values) == 1:  # RO-Crate recommends the value itself
                    entity[key] = values[0]
        with atomic_file(path) as temporary:
            self.crate.write_zip(temporary)

    def _add_origin(self) -> None:
        """Add the licence and authors of the software and the paper that it reproduces, from CITATION.cff."""
        citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
        paper = citation["preferred-citation"]
        self.file(ROOT / "CITATION.cff")
        licence = {"name": f"{citation['license']} License", "subjectOf": self.file(ROOT / "LICENSE")}
        self.root["license"] = self.thing(f"https://spdx.org/licenses/{citation['license']}", "CreativeWork", **licence)
        self.root["author"] = [
            self._author(author, f"#author-{number}") for number, author in enumerate(citation["authors"])
        ]
        self.root["citation"] = self.thing(
            f"https://doi.org/{paper['doi']}", "ScholarlyArticle", name=paper["title"], isPartOf=paper["journal"]
        )

    def _author(self, author: dict[str, str], identity: str) -> Entity:
        """Add an author of CITATION.cff, a person or an entity such as a project."""
        if "name" in author:
            return self.thing(identity, "Organization", name=author["name"])
        name = " ".join(author[part] for part in ("given-names", "family-names") if part in author)
        return self.thing(author.get("orcid", identity), "Person", name=name)


def _place(path: Path) -> str:
    return str(path.relative_to(PROJECT if path.is_relative_to(PROJECT) else ROOT))


def _format(path: Path) -> dict[str, Any]:
    return {"encodingFormat": MEDIA.get(path.suffix, "text/plain"), "contentSize": path.stat().st_size}


def _source(module: str) -> Path:
    path = sources.source_file(module)
    assert path is not None, module  # an existing module, since its digest has been computed
    return path
