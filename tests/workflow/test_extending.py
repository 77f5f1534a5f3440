"""The steps of docs/extending.md: methods of each kind as curves in four figures, their tuning, and a new problem."""

import os
import re
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from project import FIGURE, Project
from refusals import names

from lop.common.paths import ROOT

SHORT = "to: 4_096, bin: 1_024"  # of figure 4a at smoke scale
PAGE = (ROOT / "docs" / "extending.md").read_text()
CODE = dict(re.findall(r"<!-- code: ([^\n]+) -->\n\n```\w*\n(.*?)```", PAGE, re.S))
WALK = [name for name in CODE if name.startswith("lop/random_walk/")]
FILES = [name for name in CODE if name.startswith("lop/") and name not in WALK]
FIGURES = (FIGURE, "figures/fig1c.pdf", "figures/ed4a.pdf", "figures/ed2b.pdf")
CURVES = {  # code on the page: last curve, after whose line it is inserted
    "curves of fig4a": "      cbp: {runs: rl/ant/cbp}\n    seeds: 30\n    metric: return\n",
    "curves of fig1c": "      continual: {runs: imagenet/cbp}\n",
    "curves of ed4a": "      continual: {runs: permuted_mnist/best/cbp}\n",
    "curves of ed2b": (
        "          step_0.001: {runs: slowly_changing_regression/flip_one/relu, setting: step_size=0.001}\n"
    ),
}


def inserted(last: str, added: str) -> str:
    """Insert lines after the first one, the last curve."""
    curve, _, rest = last.partition("\n")
    return f"{curve}\n{added}{rest}"


def add_methods(project: Project) -> None:
    """Follow the steps of the page for methods of all kinds."""
    for name in FILES:
        (project.folder / name).write_text(CODE[name])
    project.edit("config/figures.yaml", "methods:\n", "methods:\n" + CODE["methods"])
    for name, last in CURVES.items():
        project.edit("config/figures.yaml", last, inserted(last, CODE[name]))
    project.edit("config/claims.yaml", "\ned4a:\n", "\ned4a:\n" + CODE["claim about l2_init"])


def add_tuning(project: Project) -> None:
    """Add the page's grid to the laptop scale, and two of its values to the smoke scale, whose budget is two."""
    grid = CODE["grid of ed4a"]
    for scale, text in {"laptop": grid, "smoke": re.sub(r"\[(\S+, \S+), .*\]", r"[\1]", grid)}.items():
        project.edit(
            f"config/scales/{scale}.yaml", "      permuted_mnist/best/cbp:", text + "      permuted_mnist/best/cbp:"
        )


@pytest.mark.slow
def test_methods_of_your_own(project):
    assert len(FILES) == 10
    add_methods(project)

    own = {
        FIGURE: {"rl/ant/l2_init", "rl/ant/crelu"},
        FIGURES[1]: {"imagenet/l2_init", "imagenet/lion"},
        FIGURES[2]: {"permuted_mnist/l2_init", "permuted_mnist/crelu"},
        FIGURES[3]: {"slowly_changing_regression/l2_init"},
    }
    for figure, runs in own.items():
        short = figure.removeprefix("figures/").removesuffix(".pdf")
        seeds = "0-2" if "slowly" in str(runs) else "0-1"
        wanted = {f"{run} seed {seeds}" for run in runs} | {f"collect {short}", f"draw {short}"}
        stale = project.stale(figure)
        assert stale == wanted if figure == FIGURE else stale > wanted  # the other figures have not been built
    project.build(*FIGURES)
    for figure, runs in own.items():
        curves = set(pd.read_csv((project.folder / figure).with_suffix(".csv"))["curve"])
        assert {run.rpartition("/")[2] for run in runs} <= curves
    done = project.run(project.python, "-m", "lop.claims", "ed4a", "--scale", "smoke")
    assert "L2 towards the initial weights ends above backpropagation." in done.stdout, done.stderr

    project.edit("lop/algos/l2_init.py", "alpha=2 *", "alpha=3 *")
    assert project.stale(FIGURE) == {"rl/ant/l2_init seed 0-1", "collect fig4a", "draw fig4a"}


@pytest.mark.slow
def test_a_method_of_your_own_is_tuned_with_the_budget_of_the_others(fresh):
    project = fresh
    add_methods(project)
    add_tuning(project)
    done = project.run(project.python, "-m", "lop.plan", "tune_ed4a", "--scale", "laptop")
    assert " 144 " in done.stdout, done.stdout + done.stderr  # 8 methods, 6 settings, 3 seeds
    before = project.stale("figures/ed4a.pdf")
    output = project.build("tune")
    assert "ed4a: permuted_mnist/l2_init: strength=" in output
    scores = pd.read_csv(project.folder / "tuning/smoke/ed4a.csv")
    assert scores.groupby("runs")["setting"].nunique().to_dict() == {
        f"permuted_mnist/{name}": 2 for name in ("best/bp", "best/cbp", "l2_init")
    }
    assert set(scores["seed"]) == {100, 101}
    assert project.stale("tune") == set()
    tuned = (project.folder / "config/tuned/smoke.yaml").read_text()
    assert "permuted_mnist/l2_init:" in tuned
    step_size = re.search(r"best/bp: {step_size: (.*)}", tuned)[1]
    runs = {f"permuted_mnist/bp/std_net step_size={size} seed 0-1" for size in ("0.003", "0.01")}
    assert runs & before == {"permuted_mnist/bp/std_net step_size=0.003 seed 0-1"}
    assert runs & project.stale("figures/ed4a.pdf") == {f"permuted_mnist/bp/std_net step_size={step_size} seed 0-1"}

    project.edit("config/scales/smoke.yaml", "window: [0.5, 1]", "window: [0, 1]")
    assert project.stale("tune") == {"choose hyperparameters"}


def add_results(project: Project) -> None:
    """Follow the steps of the page for results from elsewhere, with as many steps as its file has."""
    project.edit(
        "config/scales/smoke.yaml", *(f"fig4a: {{seeds: 2, {end}" for end in (SHORT, "to: 200_000, bin: 50_000"))
    )
    (project.folder / "mine.csv").write_text(CODE["mine.csv"])
    project.edit("config/figures.yaml", "methods:\n", "methods:\n" + CODE["method mine"])
    last = CURVES["curves of fig4a"]
    project.edit("config/figures.yaml", last, inserted(last, CODE["curve of mine"]))
    project.edit("config/claims.yaml", "\nfig4a:\n", "\nfig4a:\n" + CODE["claim about mine"])


@pytest.mark.slow
def test_a_file_of_results_makes_only_the_table_and_the_figure_stale(project):
    add_results(project)
    assert project.stale(FIGURE) == {"collect fig4a", "draw fig4a"}
    project.build(FIGURE)
    table = pd.read_csv(project.folder / "figures/fig4a.csv")
    last = table[(table["curve"] == "mine") & (table["step"] == 200_000)]
    assert last[["label", "n"]].to_numpy().tolist() == [["My method", 2]]
    assert last["mean"].item() == pytest.approx((790.1 + 815.6) / 2)
    os.utime(project.folder / "mine.csv")
    assert project.stale(FIGURE) == set()
    project.edit("mine.csv", "815.6", "915.6")
    assert project.stale(FIGURE) == {"collect fig4a", "draw fig4a"}
    project.edit("mine.csv", "915.6", "many")
    names(project.refusal("-n", FIGURE), "mine.csv", "row 9", "value", "'many'")
    assert project.stale("figures/ed2_cbp.pdf") == set()
    (project.folder / "mine.csv").unlink()
    names(project.refusal("-n", FIGURE), "mine.csv")


@pytest.mark.slow
def test_every_command_handles_results_from_elsewhere(project):
    add_results(project)
    project.build(FIGURE, "figures/fig4a.crate.zip")
    archived = zipfile.ZipFile(project.folder / "figures/fig4a.crate.zip").namelist()
    assert [Path(name).name for name in archived if name.startswith("files/")] == ["mine.csv"]
    for module in ("lop.plan", "lop.report", "lop.runs", "lop.claims fig4a", "lop.report.publish fig4a"):
        scale = [] if module == "lop.runs" else ["--scale", "smoke"]
        done = project.run(project.python, "-m", *module.split(), *scale)
        assert done.returncode == 0, done.stderr
        assert module != "lop.claims fig4a" or "My method ends above standard PPO." in done.stdout
    project.edit("mine.csv", "815.6", "915.6")  # published runs need not be repeated, so there is nothing to ask
    assert project.stale(FIGURE) == {"collect fig4a", "draw fig4a"}


def add_problem(project: Project) -> None:
    """Follow the steps of the page for a new problem."""
    folder = project.folder / "lop/random_walk"
    (folder / "cfg").mkdir(parents=True)
    for name in WALK:
        (project.folder / name).write_text(CODE[name])
    project.append("config/resources.yaml", CODE["memory of random_walk"])
    project.append("config/figures.yaml", CODE["figure walk"])


@pytest.mark.slow
def test_a_problem_of_your_own(fresh):
    project = fresh
    add_problem(project)
    project.build("figures/walk.pdf")
    table = pd.read_csv(project.folder / "figures/walk.csv")
    assert table.groupby("curve")["step"].max().to_dict() == {"step_0.01": 1000, "step_0.003": 1000}
    assert project.stale("figures/walk.pdf") == set()
    project.edit("lop/random_walk/run_walk.py", "p.step_size *", "2 * p.step_size *")
    runs = {f"random_walk/follow step_size={size} seed 0-1" for size in (0.1, 0.5)}
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
    add_methods(fresh)
    cfg = "lop/rl/cfg/ant/l2_init.yml"
    fresh.edit(cfg, "callback_settings: {strength: 1e-3}", mistake)
    names(fresh.refusal("-n", FIGURE), cfg, *facts)
