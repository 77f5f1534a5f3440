"""What each figure shows: config/figures.yaml, checked, with a scale's changes merged in.

The keys are described at the head of that file. Nothing here reads results or draws.
"""

import ast
import difflib
import importlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from lop.common.errors import InputError
from lop.common.paths import CONFIG, shown
from lop.common.sources import definitions
from lop.problems import PROBLEMS
from lop.runs.parameters import Number, Whole, checked, read_mapping
from lop.runs.scale import load_scale, scale_path

FIGURES = CONFIG / "figures.yaml"
Line = Literal["solid", "dashed", "dashdot", "dotted", "long_dashed", "dashdotdot"]
Marker = Literal["circle", "square", "triangle", "diamond", "down", "cross", "plus"]


def _colour(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"C\d|#[0-9a-fA-F]{6}", value):
        raise ValueError("C0 to C9, or '#rrggbb'")
    return value


def _seeds(value: Any) -> tuple[int, ...]:
    seeds = range(value) if isinstance(value, int) and not isinstance(value, bool) else value
    whole = isinstance(seeds, range | list | tuple) and all(type(seed) is int and seed >= 0 for seed in seeds)
    if not whole or not seeds or len(set(seeds)) < len(seeds):
        raise ValueError("a number of seeds above 0, or a list of different seeds from 0 on")
    return tuple(seeds)


def _source(value: Any) -> Any:
    runs = value.get("runs") if isinstance(value, dict) else value
    if not isinstance(runs, str) or "/" not in runs or not all(runs.split("/")):
        raise ValueError("<problem>/<config>, or {runs: <problem>/<config>, setting: <a point of its sweep>}")
    if (problem := runs.partition("/")[0]) not in PROBLEMS:
        near = difflib.get_close_matches(problem, PROBLEMS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"a config of one of the problems {', '.join(PROBLEMS)}{hint}")
    return value if isinstance(value, dict) else {"runs": value}


def _function(value: Any, info: ValidationInfo) -> str:
    """Found in the text of its module, which may import what not every machine has."""
    takes = 2 if info.data.get("data") else 1
    if not isinstance(value, str) or not re.fullmatch(r"lop(\.\w+)+:\w+", value):
        raise ValueError("<module>:<function> of the library")
    module, _, name = value.partition(":")
    try:
        functions = definitions(module, ast.FunctionDef)
    except FileNotFoundError:
        raise ValueError(f"<module>:<function>, of a module that there is, unlike {module}") from None
    names = [one.name for one in functions if len(one.args.args) == takes and not one.name.startswith("_")]
    if name not in names:
        what = "images on axes" if takes == 2 else "on axes"
        raise ValueError(f"a function of {module} that draws {what}: {', '.join(names) or 'it has none'}")
    return value


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Method(_Model):
    """How the curves of a method look, in every figure."""

    label: str = Field(min_length=1)
    colour: Annotated[str, BeforeValidator(_colour)]
    line: Line
    marker: Marker | None = None


class Source(_Model):
    """The runs of a curve: all its seeds at one point of a config's sweep; as a level, their mean over all steps."""

    runs: str
    setting: str = "default"
    level: bool = False

    @property
    def problem(self) -> str:
        return self.runs.partition("/")[0]

    @property
    def config(self) -> str:
        return self.runs.partition("/")[2]


class Picture(_Model):
    """Axes that a function of the library fills, `<module>:<function>`: what a problem looks like, without any run.

    It takes the axes, and where the picture shows a set of images its folder, for `lop.data.load`.
    """

    data: Literal["mnist", "cifar-100", "imagenet"] | None = None
    classes: tuple[Whole, ...] = ()  # of imagenet
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
        return self.picture.partition(":")[0]

    def check(self) -> None:
        """InputError if this machine cannot draw it, as `check` of its module says, if there is one; else the module,
        which may import all of torch, is not asked."""
        if any(function.name == "check" for function in definitions(self.module, ast.FunctionDef)):
            importlib.import_module(self.module).check()

    def draw(self, ax: Any, images: Path | None) -> None:
        """Let the function draw on the axes, with the folder of the images that it shows, if any."""
        function = getattr(importlib.import_module(self.module), self.picture.partition(":")[2])
        function(ax, images) if self.data else function(ax)


class Panel(_Model):
    """Axes with curves."""

    curves: dict[str, Annotated[Source, BeforeValidator(_source)]] = Field(min_length=1)
    seeds: Annotated[tuple[int, ...], BeforeValidator(_seeds)]
    metric: str
    layers: tuple[Whole, ...] | None = None
    to: Whole = Field(ge=1)
    bin: Whole = Field(1, ge=1)
    within: Literal["mean", "max"] = "mean"
    band: Literal["bootstrap", "standard_error"] = "bootstrap"
    draw: Literal["lines", "steps"] = "lines"
    relative_to: str | None = None
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
            raise ValueError(f"one of the curves: {', '.join(allowed)}")
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
            raise ValueError("[lowest, highest]")
        return limits

    @field_validator("y_scale")
    @classmethod
    def _has_a_logarithm(cls, scale: str, info: ValidationInfo) -> str:
        limits = info.data.get("y_limits")
        if scale == "log" and limits and limits[0] <= 0:
            raise ValueError(f"linear with `y_limits` from {limits[0]:g}")
        return scale

    @property
    def levels(self) -> set[str]:
        """The curves that are a level."""
        return {curve for curve, source in self.curves.items() if source.level}

    def collected_from(self) -> dict[str, Any]:
        """Return what the collected table depends on beside its runs, as plain JSON values."""
        levels = sorted(self.levels)
        return self.model_dump(mode="json", include={"metric", "layers", "to", "bin", "within"}) | {"levels": levels}


class Figure(_Model):
    """A figure at a scale: its panels, and the methods that they show."""

    name: str
    scale: str
    caption: str
    panels: tuple[Panel | Picture, ...]
    methods: dict[str, Method]

    @property
    def curve_panels(self) -> dict[int, Panel]:
        """The panels that show runs, by their place among all."""
        return {index: panel for index, panel in enumerate(self.panels) if isinstance(panel, Panel)}

    @property
    def pictures(self) -> list[Picture]:
        return [panel for panel in self.panels if isinstance(panel, Picture)]

    def undrawable(self) -> str:
        """Why this machine cannot draw one of the pictures, or nothing."""
        try:
            for picture in self.pictures:
                picture.check()
        except InputError as error:
            return str(error)
        return ""


class Registry(_Model):
    """Contents of config/figures.yaml; an entry is checked when it is asked for, with the scale's changes."""

    methods: dict[str, Method]
    figures: dict[str, dict[str, Any]]


def read_registry(path: Path = FIGURES) -> Registry:
    """The file as it is; InputError if it is no such file."""
    return checked(Registry, read_mapping(path), shown(path))


def figure_names() -> list[str]:
    """Every figure that there is."""
    return list(read_registry().figures)


def load_figure(name: str, scale: str, path: Path = FIGURES) -> Figure:
    """The figure of that name at a scale; InputError, in one line, for anything wrong about either."""
    changes = load_scale(scale).figures
    return _Resolver(read_registry(path), changes, shown(path), shown(scale_path(scale))).figure(name, scale)


@dataclass(frozen=True)
class _Resolver:
    """Merges a scale's changes into the entries of figures.yaml; has the files' names for messages."""

    registry: Registry
    changes: Mapping[str, Mapping[str, Any]]
    path: str
    scale_path: str

    def figure(self, name: str, scale: str) -> Figure:
        for changed in self.changes:
            self._known(changed, self.registry.figures, f"{self.scale_path}: figures")
        entry = self._known(name, self.registry.figures, f"{self.path}: figures")
        panels = self._panels(name, entry)
        used = dict.fromkeys(curve for panel in panels if isinstance(panel, Panel) for curve in panel.curves)
        where = f"{self.path}: methods, for a curve of {name}"
        methods = {curve: self._known(curve, self.registry.methods, where) for curve in used}
        caption = str(entry.get("caption", ""))
        return Figure(name=name, scale=scale, caption=caption, panels=tuple(panels), methods=methods)

    def _panels(self, name: str, entry: Mapping[str, Any]) -> list[Panel | Picture]:
        shared = {key: value for key, value in entry.items() if key != "panels"}
        panels, where = entry.get("panels", [{}]), f"{self.path}: figures.{name}: key `panels`"
        if not (isinstance(panels, list) and panels and all(isinstance(one, dict | str) for one in panels)):
            raise InputError(f"{where}: found {panels!r}, allowed: a list of mappings or of names of figures")
        named = [(one, self._entry(one, where)) if isinstance(one, str) else (name, one) for one in panels]
        pictures = ["picture" in {**shared, **own} for _, own in named]
        common = [shared, self.changes.get(name, {})]
        # Beside panels with curves, a picture does without the keys that only those have.
        of_pictures = common if all(pictures) else [_those_of(Picture, keys) for keys in common]
        return [
            self._panel(name, other, own, *(of_pictures if picture else common))
            for picture, (other, own) in zip(pictures, named, strict=True)
        ]

    def _entry(self, name: str, where: str) -> Mapping[str, Any]:
        """That of a figure which is a panel of another."""
        entry = self._known(name, self.registry.figures, where)
        if "panels" in entry:
            raise InputError(f"{where}: found {name!r}, allowed: figures that have no panels themselves")
        return entry

    def _panel(
        self, figure: str, name: str, own: Mapping[str, Any], shared: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> Panel | Picture:
        """A panel: its own keys over those that a figure's panels share, then the scale's changes to it and to all."""
        merged = {**shared, **own}
        replaced = dict.fromkeys(shared.keys() - own.keys(), f"{self.path}: figures.{figure}")
        for changed, keys in {name: self.changes.get(name, {}), figure: changes}.items():
            if keys.get("to", merged.get("to")) != merged.get("to"):
                merged.pop("y_limits", None)
            merged |= keys
            replaced |= dict.fromkeys(keys, f"{self.scale_path}: figures.{changed}")
        model: type[Panel | Picture] = Picture if "picture" in merged else Panel
        return checked(model, merged, f"{self.path}: figures.{name}", replaced)

    @staticmethod
    def _known(name: str, table: Mapping[str, Any], where: str) -> Any:
        if name not in table:
            near = difflib.get_close_matches(name, list(table), n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise InputError(f"{where}: found {name!r}, allowed: {', '.join(table)}{hint}")
        return table[name]


def _those_of(model: type[BaseModel], keys: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in keys.items() if key in model.model_fields}
