"""Figures of config/figures.yaml and their changes at each scale."""

import sys

import pytest
import yaml
from refusals import names, refusal
from synthetic import METHODS, PANEL, runs_of

import lop.rl.pictures
import lop.runs.scale
from lop.common.paths import ROOT
from lop.figures.plotting import LINES, MARKERS
from lop.figures.registry import FIGURES, Line, Marker, figure_names, load_figure
from lop.figures.runs import appearances
from lop.problems import PROBLEMS, first_run
from lop.runs.configured import conditions


@pytest.fixture
def config(tmp_path, monkeypatch):
    """Return a function that writes figures.yaml and a scale, and loads a figure from them."""
    monkeypatch.setattr(lop.runs.scale, "CONFIG", tmp_path)

    def load(name="fig4a", figures=None, changes=None, methods=METHODS):
        content = {"methods": methods, "figures": {"fig4a": PANEL} if figures is None else figures}
        (tmp_path / "scales").mkdir(exist_ok=True)
        (tmp_path / "figures.yaml").write_text(yaml.safe_dump(content))
        (tmp_path / "scales" / "tiny.yaml").write_text(yaml.safe_dump({"figures": changes or {}}))
        return load_figure(name, "tiny", tmp_path / "figures.yaml")

    return load


def changed(**values):
    return {"fig4a": {key: value for key, value in (PANEL | values).items() if value is not None}}


SCALES = ("smoke", "laptop", "day", "paper")


@pytest.mark.parametrize("scale", SCALES)
def test_every_figure_of_the_project_is_valid_at_every_scale(scale):
    for name in figure_names():
        figure = load_figure(name, scale)
        assert runs_of(figure) or figure.pictures


def test_every_figure_has_a_plot_script():
    scripts = {path.stem for path in (ROOT / "lop").glob("*/plots/*.py")}
    assert scripts == set(figure_names())


def test_figure_4a_has_the_settings_of_the_paper():
    figure = load_figure("fig4a", "paper")
    (panel,) = figure.panels
    for curve, colour in {"std": "C3", "ns": "C1", "l2": "C4", "cbp": "C0"}.items():
        assert panel.curves[curve].runs == f"rl/ant/{curve}"
        assert figure.methods[curve].colour == colour
    assert (panel.metric, panel.to, panel.bin) == ("return", 50_000_000, 250_000)
    assert panel.seeds == tuple(range(30))
    assert panel.y_limits == (0, 5500)
    assert runs_of(figure)[31].spec.name == "rl/ant/ns seed 1"


@pytest.mark.parametrize("scale", ["paper", "day", "laptop"])
def test_the_same_runs_have_the_same_colour_in_every_figure(scale):
    colours, images = {}, conditions(scale, "cpu", None, 0)
    for figure in (load_figure(name, scale) for name in figure_names()):
        for place, looks in appearances(figure, images).items():
            shown = [look.colour for look in looks.values()]
            assert len(set(shown)) == len(shown), f"{figure.name}: {looks}"
            for curve, source in figure.curve_panels[place].curves.items():
                run = first_run(source.problem, source.config, scale, source.setting, images)
                if curve != "friction":  # of the environment, not of the method
                    assert colours.setdefault(run.group, looks[curve].colour) == looks[curve].colour, figure.name


def test_methods_are_distinguishable_without_colour():
    for name in figure_names():
        methods = load_figure(name, "paper").methods.values()
        assert len({(method.line, method.marker) for method in methods}) == len(methods), name


def test_every_line_and_marker_can_be_drawn():
    assert set(LINES) == set(Line.__args__)
    assert set(MARKERS) == set(Marker.__args__)


def test_scale_overrides_keys(config):
    figure = config(changes={"fig4a": {"seeds": [4, 2], "to": 20}})
    (panel,) = figure.panels
    assert (panel.seeds, panel.to, panel.bin) == ((4, 2), 20, 10)
    assert [run.spec.seed for run in runs_of(figure)] == [2, 4, 2, 4]
    assert figure.scale == "tiny"


def test_curves_can_have_seeds_of_their_own(config):
    figure = config(changes={"fig4a": {"seeds": {"std": 2, "cbp": [7]}}})
    assert sorted((run.curve, run.spec.seed) for run in runs_of(figure)) == [("cbp", 7), ("std", 0), ("std", 1)]
    seeds = {"std": 2, "others": [7]}
    assert config(changes={"fig4a": {"seeds": seeds}}).panels == figure.panels
    assert config(changes={"fig4a": {"seeds": seeds | {"cbp": 3}}}).panels[0].seeds == {"std": (0, 1), "cbp": (0, 1, 2)}


@pytest.mark.parametrize("scale", SCALES)
def test_a_curve_can_be_added_to_any_figure_at_any_scale(tmp_path, scale):
    content = yaml.safe_load(FIGURES.read_text())
    content["methods"]["mine"] = content["methods"]["std"]
    for entry in content["figures"].values():
        for part in (entry, *entry.get("panels", ())):
            if "curves" in part:
                part["curves"]["mine"] = {"file": "mine.csv", "method": "mine"}
    path = tmp_path / "figures.yaml"
    path.write_text(yaml.safe_dump(content))
    for name in content["figures"]:
        load_figure(name, scale, path)


@pytest.mark.parametrize(
    ("changes", "limits"),
    [({}, (0, 9)), ({"to": 40}, (0, 9)), ({"to": 20}, None), ({"to": 20, "y_limits": [0, 1]}, (0, 1))],
)
def test_y_limits_apply_only_to_the_steps_that_they_were_given_for(config, changes, limits):
    assert config(figures=changed(y_limits=[0, 9]), changes={"fig4a": changes}).panels[0].y_limits == limits


def test_panels_share_keys_and_the_scale_takes_precedence(config):
    entry = PANEL | {"panels": [{"title": "Hopper", "to": 100}, {"title": "Walker2d"}]}
    panels = config("ed5a", {"ed5a": entry}).panels
    assert [(panel.title, panel.to) for panel in panels] == [("Hopper", 100), ("Walker2d", 40)]
    panels = config("ed5a", {"ed5a": entry}, {"ed5a": {"to": 20}}).panels
    assert [panel.to for panel in panels] == [20, 20]


def test_panels_can_be_other_figures(config):
    figures = changed() | {"fig4b": PANEL | {"metric": "stable_rank"}, "fig4": {"panels": ["fig4a", "fig4b"]}}
    figure = config("fig4", figures, {"fig4b": {"seeds": 2}, "fig4": {"to": 20}})
    shown = [(panel.metric, len(panel.seeds), panel.to) for panel in figure.panels]
    assert shown == [("return", 3, 20), ("stable_rank", 2, 20)]
    assert len({run.spec.path for run in runs_of(figure)}) == 6


PICTURE = {"picture": "lop.rl.pictures:ant"}
MIXED = {"fig3a": PICTURE, "fig3b": PANEL, "fig3": {"panels": ["fig3a", "fig3b"]}}


@pytest.mark.parametrize(
    ("figures", "changes"),
    [
        (MIXED, {"fig3": {"seeds": 1}}),
        ({"fig3": {**PANEL, "seeds": 1, "panels": [PICTURE, {"title": "b"}]}}, {}),
        ({"fig3": {**PANEL, "panels": [PICTURE, {"title": "b"}]}}, {"fig3": {"seeds": 1}}),
        (MIXED | {"fig3": {"panels": ["fig3a", {**PANEL, "seeds": 1}], "metric": "return"}}, {}),
    ],
)
def test_picture_ignores_the_keys_of_curves_beside_it(config, figures, changes):
    picture, panel = config("fig3", figures, changes).panels
    assert picture.picture == PICTURE["picture"]
    assert panel.seeds == (0,)


@pytest.mark.parametrize(
    ("figures", "changes", "facts"),
    [
        (MIXED, {"fig3": {"sedes": 1}}, ("tiny.yaml", "fig3", "sedes", "seeds")),
        (MIXED, {"fig3a": {"seeds": 1}}, ("tiny.yaml", "fig3a", "seeds", "picture")),
        (MIXED | {"fig3": {"panels": ["fig3a"]}}, {"fig3": {"seeds": 1}}, ("tiny.yaml", "fig3", "seeds", "picture")),
        (MIXED | {"fig3": {"sedes": 1, **MIXED["fig3"]}}, {}, ("figures.yaml", "fig3", "sedes", "seeds")),
    ],
)
def test_key_that_no_panel_has_is_rejected(config, figures, changes, facts):
    with refusal(*facts):
        config("fig3", figures, changes)


def test_curve_can_show_one_setting_of_a_sweep(config):
    curves = {"std": {"runs": "slowly_changing_regression/flip_one/relu", "setting": "step_size=0.01"}}
    figure = config(figures=changed(curves=curves, seeds=[7]))
    (run,) = runs_of(figure)
    assert run.spec.name == "slowly_changing_regression/flip_one/relu step_size=0.01 seed 7"


BAD_ENTRIES = {
    "unknown problem": ({"curves": {"std": "rll/ant/std"}}, ("curves.std", "rll/ant/std", *PROBLEMS)),
    "unknown key": ({"bins": 10}, ("bins", "bin", "curves", "seeds")),
    "missing metric": ({"metric": None}, ("metric",)),
    "bin that does not divide the steps": ({"bin": 7}, ("bin", 7, "to", 40)),
    "bin of zero": ({"bin": 0}, ("bin", 0, 1)),
    "log of 0": ({"y_limits": [0, 1], "y_scale": "log"}, ("y_scale", "log", "linear", "y_limits", 0)),
    "text instead of a number": ({"to": "many"}, ("to", "many")),
    "no seeds": ({"seeds": 0}, ("seeds", 0)),
    "negative number of seeds": ({"seeds": -3}, ("seeds", -3)),
    "boolean instead of seeds": ({"seeds": True}, ("seeds", True)),
    "duplicate seed": ({"seeds": [1, 1]}, ("seeds", [1, 1])),
    "no seeds of a curve": ({"seeds": {"std": 1}}, ("seeds", "std", "cbp")),
    "seeds of an unknown curve": ({"seeds": {"std": 1, "cbp": 1, "l2": 1}}, ("seeds", "l2", "std", "cbp")),
    "invalid seeds of a curve": ({"seeds": {"std": 1, "cbp": 0}}, ("seeds", 0)),
    "invalid seeds of others": ({"seeds": {"std": 1, "cbp": 1, "others": -1}}, ("seeds", -1)),
    "unknown curve beside others": ({"seeds": {"l2": 1, "others": 1}}, ("seeds", "l2", "std", "cbp", "others")),
    "tuning seed of a curve": ({"seeds": {"std": 1, "cbp": [100]}}, ("seeds", 100)),
    "too many seeds of a curve": ({"seeds": {"std": 1, "cbp": 101}}, ("seeds", "for `cbp`", 100)),
    "reference without a seed of another curve": (
        {"seeds": {"std": 1, "cbp": 2}, "relative_to": "std"},
        ("relative_to", "std", "seeds"),
    ),
    "negative seed": ({"seeds": [-1]}, ("seeds", [-1])),
    "reversed limits": ({"y_limits": [5, 1]}, ("y_limits", [5, 1])),
    "invalid runs": ({"curves": {"std": "ant"}}, ("curves.std", "ant")),
    "no layers": ({"layers": []}, ("layers", [])),
    "layer out of range": ({"layers": [40_000]}, ("layers.0", 40_000)),
    "no curves": ({"curves": {}}, ("curves", {})),
    "unknown method": ({"curves": {"stb": "rl/ant/std"}}, ("stb", "std", "cbp")),
    "picture and curves": (PICTURE, ("picture", "curves")),
    "panels that are no list": ({"panels": "fig4b"}, ("panels", "fig4b")),
    "unknown panel": ({"panels": ["fig4b"]}, ("panels", "fig4b")),
    "panels of panels": ({"panels": ["fig4a"]}, ("panels",)),
}


@pytest.mark.parametrize(
    ("picture", "facts"),
    [
        ("lop.rl.picturs:ant", ("lop.rl.picturs",)),
        ("lop.rl.pictures:bee", ("lop.rl.pictures", "ant")),
        ("lop.common.errors:ant", ("lop.common.errors",)),
        ("lop.rl.pictures", ()),
        (3, ()),
    ],
)
def test_unknown_picture_is_rejected_before_drawing(config, picture, facts):
    with refusal("figures.yaml", "fig3a", "picture", picture, *facts):
        config("fig3a", {"fig3a": {"picture": picture}})


def test_figure_is_undrawable_where_its_picture_cannot_be_rendered(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    libraries = ["libEGL.so"]
    monkeypatch.setattr(lop.rl.pictures, "find_library", lambda name: libraries and libraries[0])
    assert load_figure("fig3", "smoke").undrawable() == ""
    libraries.clear()
    names(load_figure("fig3", "smoke").undrawable(), "libEGL", "libOSMesa")
    assert load_figure("fig4", "smoke").undrawable() == load_figure("ed3a", "smoke").undrawable() == ""


@pytest.mark.parametrize(("values", "facts"), BAD_ENTRIES.values(), ids=BAD_ENTRIES)
def test_invalid_entry_is_rejected(config, values, facts):
    with refusal("figures.yaml", "fig4a", *facts):
        config(figures=changed(**values))


def test_invalid_class_of_a_picture_is_rejected(config):
    picture = {"picture": "lop.imagenet.pictures:pairs", "data": "imagenet", "classes": [3, 1000]}
    with refusal("figures.yaml", "fig3a", "classes.1", 1000):
        config("fig3a", {"fig3a": picture})


def test_error_about_a_run_names_the_curve(config):
    curves = {"std": {"runs": "rl/ant/std", "setting": "lr=3"}}
    with refusal("fig4a", "curve std", "lop/rl/cfg/ant/std.yml", "setting", "lr=3"):
        runs_of(config(figures=changed(curves=curves)))


def test_error_in_a_change_names_the_file_of_the_scale(config):
    with refusal("tiny.yaml", "fig4a", "bin", 3):
        config(changes={"fig4a": {"bin": 3}})
    with refusal("tiny.yaml", "figures", "fig4c", "fig4a"):
        config(changes={"fig4c": {"bin": 20}})


@pytest.mark.parametrize("colour", ["C10", "blue", "#12345", 3])
def test_invalid_colour_is_rejected(config, colour):
    with refusal("figures.yaml", "std.colour", colour, "C0", "C9", "#rrggbb"):
        config(methods=METHODS | {"std": METHODS["std"] | {"colour": colour}})


def test_no_method_is_called_others(config):
    with refusal("methods", "others"):
        config(methods=METHODS | {"others": METHODS["std"]})


def test_error_for_an_unknown_figure_lists_the_known_ones():
    with refusal("figures.yaml", "fig44", *figure_names()):
        load_figure("fig44", "laptop")


def test_error_for_an_unknown_scale_lists_the_known_ones():
    with refusal("scale", "lap", "laptop", "paper", "smoke"):
        load_figure("fig4a", "lap")


def test_colours_of_an_unknown_figure_are_rejected(config):
    with refusal("colours_of", "fig9z", "fig4a"):
        config(figures=changed(colours_of="fig9z"))
