"""Definitions of the figures: config/figures.yaml, validated and merged with the changes of a scale.

The head of that file documents the keys.
"""

import ast
import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from lop.common.errors import InputError, hint
from lop.common.paths import CONFIG, PROJECT, shown
from lop.common.sources import definitions
from lop.data.formats import IMAGENET_CLASSES
from lop.problems import PROBLEMS
from lop.runs.parameters import Number, Strict, Whole, checked, read_mapping
from lop.runs.scale import FIRST_TUNING_SEED, load_scale, scale_path

FIGURES = CONFIG / "figures.yaml"
INTERNAL = ("dormant", "dead", "rank", "weight")  # in names of metrics whose axes have the paper's limits at all scales
OTHERS = "others"  # key of the seeds of all curves that a mapping of seeds does not name
Line = Literal["solid", "dashed", "dashdot", "dotted", "long_dashed", "dashdotdot"]
Marker = Literal["circle", "square", "triangle", "diamond", "down", "cross", "plus"]


def _colour(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"C\d|#[0-9a-fA-F]{6}", value):
        raise ValueError("C0 to C9, or '#rrggbb'")
    return value


def _seeds(value: Any, info: ValidationInfo) -> tuple[int, ...] | dict[str, tuple[int, ...]]:
    if not isinstance(value, dict):
        return _list_of_seeds(value)
    curves = info.data.get("curves", value)
    if unknown := [str(curve) for curve in value if curve not in {*curves, OTHERS}]:
        raise ValueError(f"seeds of the curves {', '.join(curves)} and of `{OTHERS}`, unlike {', '.join(unknown)}")
    if OTHERS not in value and (missing := [curve for curve in curves if curve not in value]):
        raise ValueError(f"a mapping that also has {', '.join(missing)}, or `{OTHERS}`")
    of_named = {name: _list_of_seeds(seeds, f"for `{name}`: ") for name, seeds in value.items()}
    return {curve: of_named.get(curve) or of_named[OTHERS] for curve in curves}


def _list_of_seeds(value: Any, whose: str = "") -> tuple[int, ...]:
    if isinstance(value, int) and value > FIRST_TUNING_SEED:
        raise ValueError(f"{whose}up to {FIRST_TUNING_SEED} seeds")
    seeds = range(value) if isinstance(value, int) and not isinstance(value, bool) else value
    whole = isinstance(seeds, range | list | tuple) and all(type(seed) is int and seed >= 0 for seed in seeds)
    if not whole or not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"{whose}a positive number of seeds, or a list of distinct non-negative seeds")
    return tuple(seeds)


def _source(value: Any) -> "Source | ResultsFile":
    if isinstance(value, dict) and "file" in value:
        return ResultsFile.model_validate(value)
    runs = value.get("runs") if isinstance(value, dict) else value
    if not isinstance(runs, str) or "/" not in runs or not all(runs.split("/")):
        raise ValueError(
            "<problem>/<config>, {runs: <problem>/<config>, setting: <key>=<value>}, or {file: <path>, method: <name>}"
        )
    if (problem := runs.partition("/")[0]) not in PROBLEMS:
        raise ValueError(f"a config of one of the problems {', '.join(PROBLEMS)}{hint(problem, PROBLEMS)}")
    return Source.model_validate(value if isinstance(value, dict) else {"runs": value})


def _table_file(value: Any) -> str:
    # Snakemake would read braces as wildcards.
    if not isinstance(value, str) or not re.fullmatch(r"[^{}]+\.(csv|parquet)", value):
        raise ValueError("the path of a .csv or .parquet file, without braces")
    return value


def _function(value: Any, info: ValidationInfo) -> str:
    """Validate `<module>:<function>` without importing the module, whose imports may be unavailable here."""
    takes = 2 if info.data.get("data") else 1
    if not isinstance(value, str) or not re.fullmatch(r"lop(\.\w+)+:\w+", value):
        raise ValueError("<module>:<function> of the library")
    module, _, name = value.partition(":")
    try:
        functions = definitions(module, ast.FunctionDef)
    except FileNotFoundError:
        raise ValueError(f"<module>:<function> of an existing module, unlike {module}") from None
    names = [one.name for one in functions if len(one.args.args) == takes and not one.name.startswith("_")]
    if name not in names:
        what = "axes and a folder" if takes == 2 else "axes"
        raise ValueError(f"a public function of {module} that takes {what}: {', '.join(names) or 'none'}")
    return value


class Method(Strict):
    """Appearance of a method's curves in every figure."""

    label: str = Field(min_length=1)
    colour: Annotated[str, BeforeValidator(_colour)]
    line: Line
    marker: Marker | None = None


class Source(Strict):
    """Runs of a curve: all seeds of one setting of a config; with `level`, their mean over all steps."""

    runs: str
    setting: str = "default"
    level: bool = False

    @property
    def problem(self) -> str:
        """Name of the problem."""
        return self.runs.partition("/")[0]

    @property
    def config(self) -> str:
        """Name of the config within the problem."""
        return self.runs.partition("/")[2]


class ResultsFile(Strict):
    """Results of a curve that were computed elsewhere: the rows of one method in a file.

    `lop.figures.results_file` documents its columns. With `level`, the curve is the mean over all steps.
    """

    file: Annotated[str, BeforeValidator(_table_file)]
    method: str = Field(min_length=1)
    level: bool = False

    @property
    def path(self) -> Path:
        """Path of the file; relative paths start at the project's folder."""
        return PROJECT / self.file


class Picture(Strict):
    """Panel drawn by a function `<module>:<function>` of the library, without runs.

    The function takes the axes and, if `data` is given, the folder of that set of images, for `lop.data.load`.
    """

    data: Literal["mnist", "cifar-100", "imagenet"] | None = None
    classes: tuple[Annotated[Whole, Field(ge=0, lt=IMAGENET_CLASSES)], ...] = ()  # for imagenet: those that it needs
    picture: Annotated[str, BeforeValidator(_function)]
    title: str = ""
    caption: str = ""

    @model_validator(mode="before")
    @classmethod
    def _is_no_panel(cls, values: dict[str, Any]) -> dict[str, Any]:
        if "curves" in values:
            raise ValueError("keys `picture` and `curves`: found both, allowed: one of them")
        return values

    @property
    def module(self) -> str:
        """Name of the module with the function."""
        return self.picture.partition(":")[0]

    def check(self) -> None:
        """Call `check` of the function's module, if it has one; the module is imported only in that case.

        Raises:
            InputError: this machine cannot draw the picture.
        """
        if any(function.name == "check" for function in definitions(self.module, ast.FunctionDef)):
            importlib.import_module(self.module).check()

    def draw(self, ax: Any, images: Path | None) -> None:
        """Call the function with the axes and, if the picture shows a set of images, its folder."""
        function = getattr(importlib.import_module(self.module), self.picture.partition(":")[2])
        function(ax, images) if self.data else function(ax)


class Panel(Strict):
    """Axes with curves."""

    curves: dict[str, Annotated[Source | ResultsFile, BeforeValidator(_source)]] = Field(min_length=1)
    seeds: Annotated[tuple[int, ...] | dict[str, tuple[int, ...]], BeforeValidator(_seeds)]
    metric: str
    layers: Annotated[tuple[Annotated[Whole, Field(ge=0, lt=2**15)], ...], Field(min_length=1)] | None = None
    to: Whole = Field(ge=1)
    bin: Whole = Field(1, ge=1)
    within: Literal["mean", "max"] = "mean"
    draw: Literal["lines", "steps"] = "lines"
    relative_to: str | None = None
    colours_of: str | None = None
    factor: Number = 1.0
    unit: Literal["steps", "tasks", "examples", "classes"] = "steps"
    title: str = ""
    x_label: str
    y_label: str
    y_limits: tuple[Number, Number] | None = None
    y_scale: Literal["linear", "log"] = "linear"
    note: str = ""
    caption: str = ""

    @field_validator("relative_to")
    @classmethod
    def _is_a_curve(cls, name: str | None, info: ValidationInfo) -> str | None:
        curves = info.data.get("curves", {})
        if name is not None and (name not in curves or curves[name].level):
            allowed = [curve for curve, source in curves.items() if not source.level]
            raise ValueError(f"a curve without `level`: {', '.join(allowed)}")
        seeds = info.data.get("seeds")
        if name is not None and isinstance(seeds, dict) and not set().union(*seeds.values()) <= set(seeds[name]):
            raise ValueError("a curve with the seeds of all others, since values are paired by seed")
        return name

    @field_validator("bin")
    @classmethod
    def _divides(cls, width: int, info: ValidationInfo) -> int:
        if info.data.get("to", 0) % width:
            raise ValueError(f"a divisor of `to` ({info.data['to']})")
        return width

    @field_validator("y_limits")
    @classmethod
    def _ascend(cls, limits: tuple[float, float] | None) -> tuple[float, float] | None:
        if limits and not limits[0] < limits[1]:
            raise ValueError("[lowest, highest], in ascending order")
        return limits

    @field_validator("y_scale")
    @classmethod
    def _has_a_logarithm(cls, scale: str, info: ValidationInfo) -> str:
        limits = info.data.get("y_limits")
        if scale == "log" and limits and limits[0] <= 0:
            raise ValueError(f"linear, since `y_limits` starts at {limits[0]:g}")
        return scale

    @property
    def run_curves(self) -> dict[str, Source]:
        """Curves that show runs."""
        return {curve: source for curve, source in self.curves.items() if isinstance(source, Source)}

    @property
    def file_curves(self) -> dict[str, ResultsFile]:
        """Curves that show results from files."""
        return {curve: source for curve, source in self.curves.items() if isinstance(source, ResultsFile)}

    @property
    def levels(self) -> set[str]:
        """Names of the curves with `level`."""
        return {curve for curve, source in self.curves.items() if source.level}

    def seeds_of(self, curve: str) -> tuple[int, ...]:
        """Return the seeds of a curve."""
        return self.seeds[curve] if isinstance(self.seeds, dict) else self.seeds

    def collected_from(self) -> dict[str, Any]:
        """Return what the collected table depends on besides its runs and files, as plain JSON values."""
        levels = sorted(self.levels)
        return self.model_dump(mode="json", include={"metric", "layers", "to", "bin", "within"}) | {"levels": levels}


class Figure(Strict):
    """A figure at a scale: its panels and the methods that they show."""

    name: str
    scale: str
    caption: str
    panels: tuple[Panel | Picture, ...]
    methods: dict[str, Method]

    @property
    def curve_panels(self) -> dict[int, Panel]:
        """Panels with curves, keyed by their position among all panels."""
        return {index: panel for index, panel in enumerate(self.panels) if isinstance(panel, Panel)}

    @property
    def pictures(self) -> list[Picture]:
        """Panels that show pictures."""
        return [panel for panel in self.panels if isinstance(panel, Picture)]

    def undrawable(self) -> str:
        """Return why this machine cannot draw one of the pictures, or an empty string."""
        try:
            for picture in self.pictures:
                picture.check()
        except InputError as error:
            return str(error)
        return ""


class Registry(Strict):
    """Contents of config/figures.yaml; entries are validated by `load_figure`, after merging the changes of a scale."""

    methods: dict[str, Method]
    figures: dict[str, dict[str, Any]]

    @field_validator("methods")
    @classmethod
    def _are_not_others(cls, methods: dict[str, Method]) -> dict[str, Method]:
        if OTHERS in methods:
            raise ValueError(f"names except `{OTHERS}`, which is reserved for `seeds`")
        return methods


def read_registry(path: Path = FIGURES) -> Registry:
    """Read the file without validating its entries.

    Raises:
        InputError: the file is missing or invalid.
    """
    return checked(Registry, read_mapping(path), shown(path))


def figure_names() -> list[str]:
    """Return the names of all figures."""
    return list(read_registry().figures)


def load_figure(name: str, scale: str, path: Path = FIGURES) -> Figure:
    """Return the definition of a figure at a scale.

    Args:
        name: name of the figure.
        scale: name of the scale, whose changes replace keys of the definition.
        path: file with the definitions.

    Raises:
        InputError: the figure or scale does not exist or is invalid; the message is one line.
    """
    changes = load_scale(scale).file.figures
    return _Resolver(read_registry(path), changes, shown(path), shown(scale_path(scale))).figure(name, scale)


@dataclass(frozen=True)
class _Resolver:
    """Merges the changes of a scale into the entries of figures.yaml; file names are for error messages."""

    registry: Registry
    changes: Mapping[str, Mapping[str, Any]]
    path: str
    scale_path: str

    def figure(self, name: str, scale: str) -> Figure:
        for changed in self.changes:
            self._known(changed, self.registry.figures, f"{self.scale_path}: figures")
        entry = self._known(name, self.registry.figures, f"{self.path}: figures")
        panels = self._panels(name, entry)
        with_curves = [panel for panel in panels if isinstance(panel, Panel)]
        for other in (panel.colours_of for panel in with_curves if panel.colours_of):
            self._known(other, self.registry.figures, f"{self.path}: figures.{name}: key `colours_of`")
        used = dict.fromkeys(curve for panel in with_curves for curve in panel.curves)
        where = f"{self.path}: methods, for a curve of {name}"
        methods = {curve: self._known(curve, self.registry.methods, where) for curve in used}
        caption = str(entry.get("caption", ""))
        return Figure(name=name, scale=scale, caption=caption, panels=tuple(panels), methods=methods)

    def _panels(self, name: str, entry: Mapping[str, Any]) -> list[Panel | Picture]:
        shared = {key: value for key, value in entry.items() if key != "panels"}
        panels, where = entry.get("panels", [{}]), f"{self.path}: figures.{name}: key `panels`"
        if not (isinstance(panels, list) and panels and all(isinstance(one, dict | str) for one in panels)):
            raise InputError(f"{where}: found {panels!r}, allowed: a list of mappings and names of figures")
        named = [(one, self._entry(one, where)) if isinstance(one, str) else (name, one) for one in panels]
        pictures = ["picture" in {**shared, **own} for _, own in named]
        common = [shared, self.changes.get(name, {})]
        # Among panels with curves, a picture ignores the shared keys that only curves have.
        of_pictures = common if all(pictures) else [_those_of(Picture, keys) for keys in common]
        return [
            self._panel(name, other, own, *(of_pictures if picture else common))
            for picture, (other, own) in zip(pictures, named, strict=True)
        ]

    def _entry(self, name: str, where: str) -> Mapping[str, Any]:
        """Return the entry of a figure that is a panel of another."""
        entry = self._known(name, self.registry.figures, where)
        if "panels" in entry:
            raise InputError(f"{where}: found {name!r}, allowed: figures without `panels`")
        return entry

    def _panel(
        self, figure: str, name: str, own: Mapping[str, Any], shared: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> Panel | Picture:
        """Merge the shared keys of a figure, those of the panel and the changes of the scale; later ones win."""
        merged = {**shared, **own}
        replaced = dict.fromkeys(shared.keys() - own.keys(), f"{self.path}: figures.{figure}")
        for changed, keys in {name: self.changes.get(name, {}), figure: changes}.items():
            shorter = keys.get("to", merged.get("to")) != merged.get("to")
            if shorter and not any(word in str(merged.get("metric")) for word in INTERNAL):
                merged.pop("y_limits", None)
            merged |= keys
            replaced |= dict.fromkeys(keys, f"{self.scale_path}: figures.{changed}")
        letter = re.match(r"(?:fig|ed)\d+([a-z])", name)
        if figure != name and letter:
            merged.setdefault("title", letter[1])
        model: type[Panel | Picture] = Picture if "picture" in merged else Panel
        panel = checked(model, merged, f"{self.path}: figures.{name}", replaced)
        if isinstance(panel, Panel):
            largest = max(seed for curve in panel.curves for seed in panel.seeds_of(curve))
            if largest >= FIRST_TUNING_SEED:
                where = replaced.get("seeds", f"{self.path}: figures.{name}")
                allowed = f"seeds below {FIRST_TUNING_SEED}, since the others are for tuning"
                raise InputError(f"{where}: key `seeds`: found seed {largest}, allowed: {allowed}")
        return panel

    @staticmethod
    def _known(name: str, table: Mapping[str, Any], where: str) -> Any:
        if name not in table:
            raise InputError(f"{where}: found {name!r}, allowed: {', '.join(table)}{hint(name, table)}")
        return table[name]


def _those_of(model: type[BaseModel], keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if key in model.model_fields}
