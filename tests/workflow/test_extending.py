"""The steps of docs/extending.md: a new method as a curve in two figures, and a new problem."""

import re

import pandas as pd
import pytest
from project import Project
from refusals import names

from lop.common.paths import ROOT

PAGE = (ROOT / "docs" / "extending.md").read_text()
FIGURES = ("figures/fig4a.pdf", "figures/fig1c.pdf")


def block_after(words: str) -> str:
    """Return the first code block after these words on the page."""
    return re.search(r"```\w*\n(.*?)```", PAGE[PAGE.index(words) :], re.S)[1]


def add_method(project: Project) -> None:
    """Follow the steps of the page for a new method."""
    for name in ("lop/algos/l2_init.py", "lop/rl/cfg/ant/l2_init.yml", "lop/imagenet/cfg/l2_init.yml"):
        (project.folder / name).write_text(block_after(f"`{name}`"))
    project.edit("config/figures.yaml", "methods:\n", "methods:\n" + block_after("among the `methods`"))
    curve = block_after("among the `curves`").strip()
    project.edit("config/figures.yaml", "cbp: rl/ant/cbp}", "cbp: rl/ant/cbp, " + curve + "}")
    of_imagenet = "      continual: {runs: imagenet/cbp}\n"
    line = re.search(r" +l2_init: {runs: imagenet.*\n", PAGE)[0]
    project.edit("config/figures.yaml", of_imagenet, of_imagenet + line)


@pytest.mark.slow
def test_a_method_of_your_own(fresh):
    project = fresh
    project.build(*FIGURES)
    add_method(project)

    runs = {f"rl/ant/l2_init seed {seed}" for seed in (0, 1)}
    of_imagenet = {f"imagenet/l2_init strength=0.001 seed {seed}" for seed in (0, 1)}
    assert project.stale(FIGURES[0]) == runs | {"collect fig4a", "draw fig4a"}
    assert project.stale(FIGURES[1]) == of_imagenet | {"collect fig1c", "draw fig1c"}
    project.build(*FIGURES)
    for figure in FIGURES:
        table = pd.read_csv((project.folder / figure).with_suffix(".csv"))
        assert "l2_init" in set(table["curve"]), table

    project.edit("lop/algos/l2_init.py", "alpha=2 *", "alpha=3 *")
    assert project.stale(FIGURES[0]) == runs | {"collect fig4a", "draw fig4a"}


def add_problem(project: Project) -> None:
    """Follow the steps of the page for a new problem."""
    folder = project.folder / "lop/random_walk"
    (folder / "cfg").mkdir(parents=True)
    for name in ("__init__.py", "parameters.py", "run_walk.py", "cfg/follow.yml"):
        (folder / name).write_text(block_after(f"`lop/random_walk/{name}`"))
    project.append("config/resources.yaml", block_after("Its memory goes into"))
    project.append("config/figures.yaml", block_after("and a figure of it"))


@pytest.mark.slow
def test_a_problem_of_your_own(fresh):
    project = fresh
    add_problem(project)
    project.build("figures/walk.pdf")
    table = pd.read_csv(project.folder / "figures/walk.csv")
    assert table.groupby("curve")["step"].max().to_dict() == {"step_0.01": 1000, "step_0.003": 1000}
    assert project.stale("figures/walk.pdf") == set()
    project.edit("lop/random_walk/run_walk.py", "p.step_size *", "2 * p.step_size *")
    runs = {f"random_walk/follow step_size={size} seed {seed}" for size in (0.1, 0.5) for seed in (0, 1)}
    assert project.stale("figures/walk.pdf") == runs | {"collect walk", "draw walk"}
    done = project.snakemake("plan", "--cores", "1")
    assert [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("walk ")] == ["unknown"]


@pytest.mark.parametrize(
    ("mistake", "facts"),
    [
        ("callback_settings: {power: 1e-3}", ("callback_settings", "lop.algos.l2_init:L2Init", "strength")),
        ("", ("callback_settings", "{}", "strength", "lop.algos.l2_init:L2Init")),
        ("callback_settings: {strength: {}}", ("callback_settings.strength", "{}")),
    ],
    ids=["unknown", "missing", "not a number"],
)
def test_a_mistake_in_the_settings_of_a_method_is_reported_in_one_line(fresh, mistake, facts):
    add_method(fresh)
    cfg = "lop/rl/cfg/ant/l2_init.yml"
    fresh.edit(cfg, "callback_settings: {strength: 1e-3}", mistake)
    names(fresh.refusal("-n", FIGURES[0]), cfg, *facts)
