"""Every file in config/ is accepted, with all that follows, or refused in one line that names the file and the key."""

import json
import os
from functools import partial
from itertools import islice
from pathlib import Path

import pandas as pd
import pytest
from hostile import Variant, files, variants

import lop.runs.scale
from lop.claims.registry import Claim, claimed_figures, load_claims
from lop.common.errors import InputError, failures_as_input_errors
from lop.common.paths import ROOT, shown
from lop.figures.collect import COLLECTED
from lop.figures.draw import draw
from lop.figures.registry import Method, Panel, Picture, load_figure
from lop.figures.runs import shown_runs, table_path
from lop.figures.sweeps import load_sweep, sweep_names
from lop.plan.jobs import alone, blocks, seeds_per_job
from lop.plan.resources import Needs, Table, read_resources, resources
from lop.problems import first_run
from lop.runs.configured import Config, Data, check_config, conditions
from lop.runs.parameters import read_mapping
from lop.runs.scale import Comparison, ScaleFile
from lop.runs.spec import Conditions

STRIDES = [
    pytest.param(37, id="some"),
    pytest.param(1 if "TORTURE" in os.environ else 5, id="more", marks=pytest.mark.slow),
]
METHODS = {
    "std": {"label": "a", "colour": "C3", "line": "dashed", "marker": "square"},
    "cbp": {"label": "b", "colour": "C1", "line": "solid"},
}
AXES = {"metric": "return", "to": 40, "x_label": "x", "y_label": "y"}
PANEL = {
    **AXES, "curves": {"std": {"runs": "rl/ant/std", "setting": "default", "level": False}, "cbp": "rl/ant/cbp"},
    "seeds": [0, 1], "layers": [0], "bin": 10, "within": "mean", "draw": "lines", "relative_to": "std", "factor": 2.0,
    "colours_of": "fig", "unit": "steps", "title": "t", "y_limits": [1, 2], "y_scale": "linear", "note": "n",
    "caption": "c",
}  # fmt: skip
PICTURE = {
    "picture": "lop.imagenet.pictures:pairs", "data": "imagenet", "classes": [1], "title": "t", "caption": "c",
}  # fmt: skip
PAGE = {**AXES, "curves": {"std": "rl/ant/std"}, "seeds": 1, "panels": ["picture", {"title": "b"}]}
FIGURES = {"methods": METHODS, "figures": {"fig": PANEL, "picture": PICTURE, "page": PAGE}}
COMPARISON = {
    "metric": "return", "to": 40, "bin": 10, "window": [0.5, 1], "best": "highest", "seeds": 2, "budget": 2,
    "grids": {"rl/ant/std": {"lr": [1e-4, 1e-3]}},
}  # fmt: skip
SCALE = {
    "runs": {"rl/*": {"n_steps": 4096}, "rl/ant/std": {"lr": 1e-4}}, "seeds_per_job": {"*": 2, "rl": 3},
    "figures": {"fig": {"seeds": 2, "to": 20, "bin": 10}}, "original_images": ["mnist"], "tuning": {"a": COMPARISON},
}  # fmt: skip
SIDE = {"curve": "cbp", "window": [0.9, 1]}
CLAIMS = {
    "fig4a": [
        {"says": "s", "panel": 0, "higher": SIDE, "lower": {**SIDE, "curve": 0}, "paper": [2, 1], "needs": 3},
        {"says": "s", "near": {"curve": "cbp", "steps": [1, 9]}, "to": 3.0, "within": 1.0},
    ]
}
CONFIG = {
    "scale": "smoke", "device": "cpu", "results": "a", "published": "ask", "checkpoint_every": 60, "progress_every": 15,
    "track": "wandb", "runs_per_gpu": {"imagenet": 2},
    "data": {"source": "glyphs", "folder": "a", "sets": "data", "seed": 0},
}  # fmt: skip
RESOURCES = read_mapping(ROOT / "config/resources.yaml")
RESOURCES["runs"]["rl"]["slack"] = 3


@pytest.mark.parametrize(
    ("model", "document"),
    [
        (Method, METHODS["std"]),
        (Panel, PANEL),
        (Picture, PICTURE),
        (ScaleFile, SCALE),
        (Comparison, COMPARISON),
        (Claim, CLAIMS["fig4a"][0] | CLAIMS["fig4a"][1]),
        (Config, CONFIG),
        (Data, CONFIG["data"]),
        (Table, RESOURCES),
        (Needs, RESOURCES["runs"]["rl"]),
    ],
)
def test_every_key_is_fuzzed(model, document):
    assert set(document) == set(model.model_fields)


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Return a folder config/ with the files above."""
    monkeypatch.setattr(lop.runs.scale, "CONFIG", tmp_path)
    for name, content in {
        "figures": FIGURES,
        "scales/tiny": SCALE,
        "scales/smoke": {},
        "scales/paper": {},
        "tuned/tiny": {"a": {"rl/ant/std": {"lr": 1e-3}}},
        "claims": CLAIMS,
        "config": CONFIG,
        "resources": RESOURCES,
    }.items():
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    return tmp_path


def resolve_figures(config):
    for name in FIGURES["figures"]:
        figure = load_figure(name, "tiny", config / "figures.yaml")
        table_path(figure, shown_runs(figure, Conditions()))
        figure.undrawable()


def resolve_scale(config):
    for name in sweep_names("tiny"):
        sweep = load_sweep(name, "tiny")
        table_path(sweep, shown_runs(sweep, conditions("tiny", "cpu", None, 0)))
    for number in seeds_per_job("tiny").values():
        assert blocks(number)
        assert alone(number)
    figure = load_figure("fig", "tiny", config / "figures.yaml")
    shown_runs(figure, Conditions())


def resolve_claims(config):
    for name in claimed_figures(config / "claims.yaml"):
        load_claims(name, config / "claims.yaml")


def resolve_config(config):
    path = config / "config.yaml"
    settings = check_config(read_mapping(path), shown(path))
    assert settings.conditions
    for folder in (settings.results, settings.data.folder, settings.data.sets):
        assert Path(folder or "").absolute()


def resolve_resources(config):
    read_resources.cache_clear()
    assert resources(first_run("rl", "ant/std", "smoke", "default"), "cpu", 2, config / "resources.yaml")


FILES = {
    "figures": (resolve_figures, FIGURES),
    "scales/tiny": (resolve_scale, SCALE),
    "tuned/tiny": (resolve_scale, {"a": {"rl/ant/std": {"lr": 1e-3}}}),
    "claims": (resolve_claims, CLAIMS),
    "config": (resolve_config, CONFIG),
    "resources": (resolve_resources, RESOURCES),
}


def refusal_of(change: Variant, path: Path, resolve) -> str:
    """Return the message with which a changed file is refused, or an empty string."""
    path.write_bytes(change.content)
    first_run.cache_clear()
    try:
        with failures_as_input_errors():
            resolve()
    except InputError as error:
        return str(error)
    return ""


def check(message: str, change: Variant, path: Path) -> None:
    """Check a message: it has one line and names the file and the key, or the one around it.

    That a setting or scale does not exist is found after the file with its name was read.
    """
    assert len(message.splitlines()) == 1, message
    assert path.name in message or {"setting", "scale"} & set(change.keys[:1]) or "scale: found" in message, message
    named = "YAML" in message or "unknown key" in message or any(key in message for key in change.keys[:3])
    assert named or not change.keys, f"{change.keys}: {message}"


@pytest.mark.parametrize("stride", STRIDES)
@pytest.mark.parametrize("name", FILES)
def test_any_value_of_a_key_is_accepted_or_refused(name, stride, config, record_property):
    resolve, document = FILES[name]
    path, number = config / f"{name}.yaml", 0
    assert not refusal_of(Variant((), path.read_bytes()), path, partial(resolve, config))
    for change in (*files(document), *islice(variants(document), None, None, stride)):
        message = refusal_of(change, path, partial(resolve, config))
        if message:
            check(message, change, path)
        number += 1
    record_property("faults", number)


DRAWN = {
    "methods": {"std": METHODS["std"]},
    "figures": {
        "fig": {
            **AXES,
            "curves": {"std": {"runs": "rl/ant/std", "level": False}},
            "seeds": 2,
            "bin": 10,
            "factor": 2.0,
            "title": "t",
            "y_limits": [1, 2],
            "y_scale": "linear",
            "note": "n",
            "caption": "c",
            "draw": "lines",
        }
    },
}


@pytest.mark.parametrize("stride", [pytest.param(499, id="some"), pytest.param(11, id="more", marks=pytest.mark.slow)])
def test_every_accepted_figure_can_be_drawn(stride, config, tmp_path, record_property):
    drawn = set()

    def draw_once():
        figure = load_figure("fig", "tiny", config / "figures.yaml")
        (panel,) = figure.panels
        if figure.model_dump_json() not in drawn and len(figure.model_dump_json()) < 20_000:
            rows = [(0, "std", s, None, end, s + 1.0, 1) for s in (0, 1) for end in (-(-panel.to // 2), panel.to)]
            draw(pd.DataFrame(rows, columns=COLLECTED.names), figure, tmp_path / "drawn")
        drawn.add(figure.model_dump_json())

    (config / "scales/tiny.yaml").write_text("{}")
    for change in islice(variants(DRAWN), None, None, stride):
        refusal_of(change, config / "figures.yaml", draw_once)
    record_property("faults", len(drawn))


@pytest.mark.parametrize("label", ["$x$ $", r"$\frac$", "\\"])
def test_labels_are_plain_text(label, config, tmp_path):
    document = json.loads(json.dumps(DRAWN))
    document["figures"]["fig"]["title"] = label
    (config / "scales/tiny.yaml").write_text("{}")
    (config / "figures.yaml").write_text(json.dumps(document))
    figure = load_figure("fig", "tiny", config / "figures.yaml")
    rows = [(0, "std", seed, None, 40, 1.0, 1) for seed in (0, 1)]
    assert draw(pd.DataFrame(rows, columns=COLLECTED.names), figure, tmp_path)
