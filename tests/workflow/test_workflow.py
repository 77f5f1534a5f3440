"""The workflow on a copy of the project, at smoke scale: whole builds, what is stale, what a kill costs, bad input."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lop.common.paths import ROOT

PARTS = ("Snakefile", "workflow", "profiles", "config", "lop", "envs")
RUNS = {f"rl/ant/{method} seed {seed}" for method in ("std", "ns", "l2", "cbp") for seed in (0, 1)}
TABLE, FIGURE = "collect fig4a", "draw fig4a"
BINS = "fig4a: {seeds: 2, to: 4_096, bin: "  # in the file of the smoke scale


class Project:
    """A copy of the project in a folder of its own, with what numba has compiled of it: as at a user's second build."""

    def __init__(self, folder: Path, of: Path = ROOT):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        for part in PARTS:
            if (of / part).is_dir():
                shutil.copytree(of / part, folder / part, ignore=shutil.ignore_patterns("*.pyc", "*.tmp.*"))
            else:
                shutil.copy(of / part, folder / part)

    def command(self, *arguments: str) -> list[str]:
        scale = ["--config", "scale=smoke"] if "--config" not in arguments else []
        return [sys.executable, "-m", "snakemake", *arguments, *scale]

    @property
    def environment(self) -> dict[str, str]:
        """A user's: one in which Python keeps its bytecode."""
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        return inherited | {"PYTHONPATH": str(self.folder)}

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            self.command(*arguments), cwd=self.folder, env=self.environment, capture_output=True, text=True
        )

    def build(self, target="figures/fig4a.pdf", *options: str) -> str:
        done = self.snakemake(target, "--cores", "2", *options)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stderr + done.stdout

    def stale(self, target="figures/fig4a.pdf") -> set[str]:
        """What a build would do."""
        done = self.snakemake("-n", target)
        assert done.returncode == 0, done.stderr + done.stdout
        jobs = re.findall(r"^Job \d+: (.*)$", done.stdout + done.stderr, re.MULTILINE)
        return {job.removeprefix("smoke ").replace(" default", "").replace(" at smoke scale", "") for job in jobs}

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def append(self, name: str, text: str) -> None:
        with open(self.folder / name, "a") as file:
            file.write(text)

    def metrics(self, config="ant/std", seed=0) -> Path:
        return self.folder / self.target(config, seed)

    def target(self, config="ant/std", seed=0) -> str:
        """A run's metrics, as Snakemake is asked for them."""
        return f"results/smoke/rl/{config}/default/seed-{seed}/metrics.parquet"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A project whose figure has been built once; tests copy it."""
    project = Project(tmp_path_factory.mktemp("built") / "project")
    project.log = project.build()
    return project


@pytest.fixture
def project(built, tmp_path):
    """A copy of the built one, with its results and what Snakemake knows of them."""
    copy = Project(tmp_path / "project", built.folder)
    for part in ("results", "figures", ".snakemake"):
        shutil.copytree(built.folder / part, copy.folder / part, copy_function=shutil.copy2)
    return copy


def test_one_command_makes_figure_picture_and_table(built):
    for suffix in ("pdf", "png", "csv"):
        assert (built.folder / f"figures/fig4a.{suffix}").stat().st_size > 500
    assert b"/FontFile2" in (built.folder / "figures/fig4a.pdf").read_bytes()
    rows = (built.folder / "figures/fig4a.csv").read_text().splitlines()
    assert rows[0] == "curve,label,step,mean,low,high,n"
    assert {row.split(",")[0] for row in rows[1:]} == {"std", "ns", "l2", "cbp"}
    for run in RUNS:
        assert f"{run}: done, 4,096 steps" in built.log


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda p: None, set()),
        (
            lambda p: p.edit("lop/rl/cfg/ant/l2.yml", "lr: 0.0001", "lr: 0.0002"),
            {"rl/ant/l2 seed 0", "rl/ant/l2 seed 1", TABLE, FIGURE},
        ),
        (
            lambda p: p.edit("config/scales/smoke.yaml", "seeds: 2", "seeds: 3"),
            {f"rl/ant/{method} seed 2" for method in ("std", "ns", "l2", "cbp")} | {TABLE, FIGURE},
        ),
        (lambda p: p.append("lop/algos/rl/ppo.py", "\nEXTRA = 1\n"), RUNS | {TABLE, FIGURE}),
        (lambda p: p.append("lop/algos/rl/ppo.py", "\n# a comment\n"), set()),
        (lambda p: p.append("lop/figures/plotting.py", "\n# a comment\n"), {FIGURE}),
        (lambda p: p.append("lop/rl/README.md", "more\n"), set()),
        (lambda p: p.edit("lop/rl/cfg/ant/l2.yml", "label: PPO+L2", "label: other"), set()),
        (lambda p: p.edit("config/figures.yaml", "y_label: Return per episode", "y_label: Return"), {FIGURE}),
        (
            lambda p: p.edit("config/scales/smoke.yaml", BINS + "1_024", BINS + "2_048"),
            {TABLE, FIGURE},
        ),
        (lambda p: p.metrics().unlink(), set()),
    ],
    ids=[
        "nothing",
        "one key",
        "a seed",
        "code",
        "comment",
        "plot comment",
        "readme",
        "label",
        "axis",
        "bins",
        "run deleted",
    ],
)
def test_what_is_stale(project, change, expected):
    change(project)
    assert project.stale() == expected


def test_a_new_method_is_a_file_and_two_lines(project):
    shutil.copy(project.folder / "lop/rl/cfg/ant/std.yml", project.folder / "lop/rl/cfg/ant/mine.yml")
    project.edit("config/figures.yaml", "methods:\n", "methods:\n  mine: {label: Mine, colour: C2, line: dashdotdot}\n")
    project.edit("config/figures.yaml", "cbp: rl/ant/cbp}", "cbp: rl/ant/cbp, mine: rl/ant/mine}")
    assert project.stale() == {"rl/ant/mine seed 0", "rl/ant/mine seed 1", TABLE, FIGURE}
    project.build()
    assert "Mine" in (project.folder / "figures/fig4a.csv").read_text()


def test_undoing_a_change_trains_nothing(project):
    before = pq.read_table(project.metrics("ant/l2"))
    project.edit("lop/rl/cfg/ant/l2.yml", "lr: 0.0001", "lr: 0.0002")
    project.build(project.target("ant/l2"))
    assert not pq.read_table(project.metrics("ant/l2")).equals(before)
    project.edit("lop/rl/cfg/ant/l2.yml", "lr: 0.0002", "lr: 0.0001")
    log = project.build()
    assert log.count("restored, nothing to train") == 1
    assert "done, 4,096" not in log
    assert pq.read_table(project.metrics("ant/l2")).equals(before)
    assert project.stale() == set()


def test_a_harmless_change_of_the_rule_trains_nothing(project):
    project.edit("workflow/rules/train.smk", '"exec {resources.python:q}', '"exec  {resources.python:q}')
    assert project.stale() == RUNS | {TABLE, FIGURE}
    log = project.build(project.target())
    assert log.count("restored, nothing to train") == 1


def test_results_copied_from_elsewhere_are_fresh(built, tmp_path):
    copy = Project(tmp_path / "project")
    shutil.copytree(built.folder / "results", copy.folder / "results", copy_function=shutil.copy2)
    assert copy.stale() == {FIGURE}
    copy.edit("config/scales/smoke.yaml", BINS + "1_024", BINS + "512")
    assert copy.stale() == {TABLE, FIGURE}
    copy.edit("config/scales/smoke.yaml", BINS + "512", BINS + "1_024")
    copy.edit("lop/rl/cfg/ant/ns.yml", "beta_1: 0.99", "beta_1: 0.95")
    of_ns = {f"rl/ant/ns seed {seed}" for seed in (0, 1)}
    for seconds, config in enumerate(("std", "ns", "l2", "cbp")):
        for seed in (0, 1):
            os.utime(copy.metrics(f"ant/{config}", seed), (seconds * 10**8, seconds * 10**8))
    done = copy.snakemake("-n", "figures/fig4a.pdf")
    assert done.stderr.splitlines().count("made again: runs of rl/ant/ns, of another beta_1") == 1
    assert copy.stale() == of_ns | {TABLE, FIGURE}
    log = copy.build()
    assert log.count(": done, 4,096 steps") == 2
    assert copy.stale() == set()
    copy.edit("lop/rl/cfg/ant/ns.yml", "beta_1: 0.95", "beta_1: 0.99")
    assert copy.stale() == of_ns | {TABLE, FIGURE}
    copy.append("lop/algos/rl/ppo.py", "\nEXTRA = 1\n")
    assert copy.stale() == RUNS | {TABLE, FIGURE}


def wait_until(condition, seconds=120):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def processes_in(folder: Path) -> list[Path]:
    """Processes whose working folder is that one."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").resolve().is_relative_to(folder):
                found.append(process)
    return found


def test_a_killed_snakemake_loses_little_and_leaves_nothing_behind(project):
    """One that trains two runs anew, in the first half of the second."""
    project.edit("config/config.yaml", "checkpoint_every: 60", "checkpoint_every: 0.5")
    project.edit("lop/rl/cfg/ant/l2.yml", "lr: 0.0001", "lr: 0.0002")
    begun = time.time()

    def written(name: str) -> set[Path]:
        files = (project.metrics("ant/l2", seed).with_name(name) for seed in (0, 1))
        return {file.parent for file in files if file.exists() and file.stat().st_mtime > begun}

    running = subprocess.Popen(
        project.command("figures/fig4a.pdf", "--cores", "1"),
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: written("metrics.parquet"))
    wait_until(lambda: written("checkpoint.pt") - written("metrics.parquet"))
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    wait_until(lambda: not processes_in(project.folder), seconds=30)  # the run that it left saves and stops
    assert len(written("metrics.parquet")) == 1
    log = project.build()
    assert log.count(": done, 4,096 steps") == 1
    assert "goes on from" in log
    assert project.stale() == set()


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
        (lambda p: None, ("figures/fig9z.pdf",), "found 'fig9z', allowed: fig1a"),
        (
            lambda p: None,
            ("figures/fig4a.pdf", "--config", "scale=huge"),
            "found 'huge', allowed: laptop, paper, smoke",
        ),
        (
            lambda p: p.edit("lop/rl/cfg/ant/l2.yml", "lr:", "lrr:"),
            ("figures/fig4a.pdf",),
            "lop/rl/cfg/ant/l2.yml: unknown key `lrr`",
        ),
        (
            lambda p: p.edit("lop/rl/cfg/ant/ns.yml", "lr: 0.0001", "lr: fast"),
            ("figures/fig4a.pdf",),
            "lop/rl/cfg/ant/ns.yml: key `lr`: found 'fast', allowed: a valid number",
        ),
        (
            lambda p: (p.folder / "lop/rl/cfg/ant/cbp.yml").unlink(),
            ("figures/fig4a.pdf",),
            "lop/rl/cfg/ant/cbp.yml: no such file",
        ),
        (
            lambda p: p.edit("config/figures.yaml", "metric: return", "metrik: return"),
            ("figures/fig4a.pdf",),
            "unknown key `metrik`; did you mean `metric`?",
        ),
        (
            lambda p: p.edit("config/figures.yaml", "cbp: rl/ant/cbp}", "cbp: rll/ant/cbp}"),
            ("figures/fig4a.pdf", "-n"),
            "key `curves.cbp`: found 'rll/ant/cbp', allowed: a config of one of the problems imagenet, ",
        ),
        (lambda p: None, ("figures/fig4a.pdf", "-n", "--config", "results=a{b}"), "key `results`: 'a{b}' does not"),
    ],
    ids=["figure", "scale", "key", "type", "cfg", "registry", "problem", "results"],
)
def test_bad_input_is_told_in_one_line(tmp_path, change, arguments, message):
    project = Project(tmp_path / "project")
    change(project)
    done = project.snakemake(*arguments, "--cores", "1")
    assert done.returncode != 0
    told = [line for line in (done.stderr + done.stdout).splitlines() if message in line]
    assert len(told) == 1
    assert told[0].startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content[: len(content) // 2], "truncated or damaged"),
        (lambda content: b"", "truncated or damaged"),
    ],
)
def test_a_damaged_result_is_named_and_nothing_is_lost(project, damage, message):
    path = project.metrics("ant/cbp", 1)
    content = path.read_bytes()
    path.write_bytes(damage(content))
    done = project.snakemake("figures/fig4a.pdf", "--cores", "1")
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len([line for line in set(told) if "seed-1/metrics.parquet" in line and message in line]) == 1
    path.unlink()
    assert "restored, nothing to train" in project.build(project.target("ant/cbp", 1))
    assert path.read_bytes() == content


def test_a_run_of_other_parameters_is_not_taken_for_the_wanted_one(project):
    """Put in the place of one that Snakemake has a record of."""
    shutil.copy(project.metrics("ant/l2"), project.metrics("ant/ns"))
    done = project.snakemake("figures/fig4a.pdf", "--cores", "1")
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "ns/default/seed-0/metrics.parquet: parameters." in told[0]
    command = re.search(r"which `snakemake (.*)` makes$", told[0])[1].split()
    done = project.snakemake(*command)
    assert "restored, nothing to train" in done.stderr + done.stdout
    project.build()


def test_all_leaves_out_the_figures_that_this_machine_cannot_draw(tmp_path):
    project = Project(tmp_path / "project")
    project.edit("lop/rl/pictures.py", "if find_library(library)", "if False")
    done = project.snakemake("-n", "--quiet", "rules")
    assert done.returncode == 0, done.stderr
    told = [line.partition(": no picture: no library")[0] for line in done.stderr.splitlines() if "left out" in line]
    assert told == ["left out: fig3a", "left out: fig3"]
    planned = project.stale("all")
    assert {"draw fig3b", "draw fig3c", "draw ed2b"} <= planned
    assert not {"draw fig3", "draw fig3a"} & planned
    assert "no picture" in project.snakemake("figures/fig3a.pdf", "--cores", "1").stderr


def test_lint():
    done = subprocess.run([sys.executable, "-m", "snakemake", "--lint"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
