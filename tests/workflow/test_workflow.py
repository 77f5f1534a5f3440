"""The workflow on a copy of the project, at smoke scale: whole builds, what is stale, what a kill costs, bad input."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lop.common.paths import ROOT
from lop.runs.metrics import read_about

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

    def stale(self, target="figures/fig4a.pdf", *options: str) -> set[str]:
        """What a build would do."""
        done = self.snakemake("-n", target, *options)
        assert done.returncode == 0, done.stderr + done.stdout
        jobs = re.findall(r"^Job \d+: (.*)$", done.stdout + done.stderr, re.MULTILINE)
        return {job.replace(" at smoke scale", "") for job in jobs}

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def append(self, name: str, text: str) -> None:
        with open(self.folder / name, "a") as file:
            file.write(text)

    def paths(self, figure="fig4a", scale="smoke") -> dict[str, str]:
        """The metrics files of a figure's runs, as Snakemake is asked for them, by the runs' names."""
        program = (
            "import json; from lop.figures.registry import load_figure; from lop.figures.runs import shown_runs\n"
            "from lop.runs.configured import configured\n"
            f"runs = shown_runs(load_figure({figure!r}, {scale!r}), configured().conditions)\n"
            "print(json.dumps({run.spec.name: f'results/{run.spec.path}' for run in runs}))"
        )
        command = [sys.executable, "-c", program]
        return json.loads(subprocess.check_output(command, cwd=self.folder, env=self.environment, text=True))

    def metrics(self, config="ant/std", seed=0) -> Path:
        return self.folder / self.target(config, seed)

    def target(self, config="ant/std", seed=0) -> str:
        return self.paths()[f"rl/{config} seed {seed}"]


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
        (
            lambda p: (p.metrics().unlink(), p.edit("config/scales/smoke.yaml", BINS + "1_024", BINS + "2_048")),
            {"rl/ant/std seed 0", TABLE, FIGURE},
        ),
        (lambda p: p.append("lop/runs/progress.py", "\nEXTRA = 1\n"), set()),
        (lambda p: p.append("workflow/rules/train.smk", "\n\nEXTRA = 1\n"), set()),
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
        "run deleted and needed",
        "plumbing",
        "rule",
    ],
)
def test_what_is_stale(project, change, expected):
    change(project)
    assert project.stale() == expected


def test_a_new_method_is_a_file_and_two_lines(project):
    """A copy of a cfg file asks for the runs that are there, until a number in it changes."""
    shutil.copy(project.folder / "lop/rl/cfg/ant/std.yml", project.folder / "lop/rl/cfg/ant/mine.yml")
    project.edit("config/figures.yaml", "methods:\n", "methods:\n  mine: {label: Mine, colour: C2, line: dashdotdot}\n")
    project.edit("config/figures.yaml", "cbp: rl/ant/cbp}", "cbp: rl/ant/cbp, mine: rl/ant/mine}")
    assert project.stale() == {TABLE, FIGURE}
    project.edit("lop/rl/cfg/ant/mine.yml", "lr: 0.0001", "lr: 0.0003")
    assert project.stale() == {"rl/ant/mine seed 0", "rl/ant/mine seed 1", TABLE, FIGURE}
    project.build()
    assert "Mine" in (project.folder / "figures/fig4a.csv").read_text()


def test_curves_may_differ_in_the_inputs_of_their_seeds_alone(project):
    (project.folder / "frictions.txt").write_text(2 * "0.1 0.2 0.3 0.4 0.5\n")
    own = project.folder / "lop/rl/cfg/sant/own.yml"
    shutil.copy(own.with_name("std.yml"), own)
    project.append("lop/rl/cfg/sant/own.yml", f"\nfrictions_file: {project.folder}/frictions.txt\n")
    project.edit("config/figures.yaml", "l2: rl/sant/l2", "l2: rl/sant/own")
    names = {f"rl/sant/{config} seed {seed}" for config in ("std", "own", "cbp") for seed in (0, 1)}
    assert names <= project.stale("figures/fig3c.pdf")


def test_undoing_a_change_runs_nothing(project):
    before = project.metrics("ant/l2")
    project.edit("lop/rl/cfg/ant/l2.yml", "lr: 0.0001", "lr: 0.0002")
    after = project.metrics("ant/l2")
    project.build()
    assert not pq.read_table(after).equals(pq.read_table(before))
    project.edit("lop/rl/cfg/ant/l2.yml", "lr: 0.0002", "lr: 0.0001")
    assert project.stale() == {FIGURE}  # the old table is there, too
    project.build()
    assert project.stale() == set()


def test_a_rule_that_runs_again_finds_that_nothing_is_left_to_do(project):
    """Without the profile, Snakemake repeats jobs whose rule has changed."""
    before = project.metrics().read_bytes()
    project.edit("workflow/rules/train.smk", '"exec {resources.command}', '"exec  {resources.command}')
    assert project.stale() == set()
    log = project.build(project.target(), "--workflow-profile", "none", "--nolock")
    assert "already done" in log
    assert project.metrics().read_bytes() == before  # the time of its end included


def test_results_copied_from_elsewhere_are_found(built, tmp_path):
    copy = Project(tmp_path / "project")
    shutil.copytree(built.folder / "results", copy.folder / "results", copy_function=shutil.copy2)
    assert copy.stale() == {FIGURE}
    for seconds, path in enumerate(sorted((copy.folder / "results").rglob("*.parquet"))):
        os.utime(path, (seconds * 10**8, seconds * 10**8))
    copy.build()
    assert copy.stale() == set()
    copy.edit("lop/rl/cfg/ant/ns.yml", "beta_1: 0.99", "beta_1: 0.95")
    of_ns = {f"rl/ant/ns seed {seed}" for seed in (0, 1)}
    assert copy.stale() == of_ns | {TABLE, FIGURE}
    plan = copy.snakemake("plan", "--cores", "1")
    row = next(line for line in plan.stdout.splitlines() if line.startswith("fig4a "))
    assert row.split()[1:3] == ["8", "6"]
    assert "2 of another beta_1" in row


def test_a_shorter_scale_is_cut_from_a_longer_one(project):
    project.edit("config/scales/smoke.yaml", "rl/*: {n_steps: 4_096}", "rl/*: {n_steps: 3_000}")
    project.edit("config/scales/smoke.yaml", BINS + "1_024", "fig4a: {seeds: 2, to: 3_000, bin: 1_000")
    assert project.stale() == RUNS | {TABLE, FIGURE}
    log = project.build()
    assert log.count(": done, 3,000 steps") == len(RUNS)
    assert "0% |" not in log  # no step was made
    with_length = {path.name for path in project.metrics().parent.glob("metrics-*")}
    assert with_length == {"metrics-3000.parquet", "metrics-4096.parquet"}


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
    files = [project.metrics("ant/l2", seed) for seed in (0, 1)]

    def written(name: str) -> set[Path]:
        return {file.parent for file in files if file.with_name(name).exists()}

    running = subprocess.Popen(
        project.command("figures/fig4a.pdf", "--cores", "1"),
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: written("metrics-4096.parquet"))
    wait_until(lambda: written("checkpoint.pt") - written("metrics-4096.parquet"))
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    wait_until(lambda: not processes_in(project.folder), seconds=30)  # the run that it left saves and stops
    assert len(written("metrics-4096.parquet")) == 1
    log = project.build()
    assert log.count(": done, 4,096 steps") == 1
    assert read_about(max(files, key=lambda file: file.stat().st_mtime))["resumed"] == 1
    assert project.stale() == set()


@pytest.mark.parametrize(
    ("change", "arguments", "message"),
    [
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
        (
            lambda p: None,
            ("figures/fig4a.pdf", "-n", "--config", "results=a{b}"),
            "key `results`: found 'a{b}'",
        ),
    ],
    ids=["scale", "key", "type", "cfg", "registry", "problem", "results"],
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


def test_an_unknown_figure_is_refused(project):
    done = project.snakemake("figures/fig9z.pdf", "--cores", "1")
    assert done.returncode != 0
    assert "figures/fig9z.pdf" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("length", [0, 0.5])
def test_a_damaged_result_is_named_and_nothing_is_lost(project, length):
    path = project.metrics("ant/cbp", 1)
    content = path.read_bytes()
    path.write_bytes(content[: int(length * len(content))])
    done = project.snakemake("figures/fig4a.pdf", "--cores", "1")
    assert done.returncode != 0
    told = {line for line in done.stderr.splitlines() if line.startswith("error: ")}
    assert len([line for line in told if path.name in line and "seed-1" in line]) == 1
    path.unlink()
    project.build(project.target("ant/cbp", 1))
    assert pq.read_table(path).equals(pq.read_table(pa.BufferReader(content)))  # from the checkpoint


def test_a_run_of_other_parameters_is_not_taken_for_the_wanted_one(project):
    shutil.copy(project.metrics("ant/l2"), project.metrics("ant/ns"))
    done = project.snakemake("figures/fig4a.pdf", "--cores", "1")
    assert done.returncode != 0
    told = {line for line in done.stderr.splitlines() if line.startswith("error: ")}
    assert [line for line in told if "wd was 0.001, is 0.0" in line]
    project.metrics("ant/ns").unlink()
    project.build()


def test_the_top_level_only_includes_the_workflow():
    """The workflow catalogue and `snakedeploy` look for these files."""
    assert (ROOT / ".snakemake-workflow-catalog.yml").is_file()
    assert (ROOT / "workflow/Snakefile").is_file()
    assert 'include: "workflow/Snakefile"' in (ROOT / "Snakefile").read_text()


def test_another_workflow_uses_this_one_as_a_module(tmp_path, project):
    """`snakedeploy deploy-workflow` writes such a Snakefile and copies config/."""
    folder = tmp_path / "deployed"
    (folder / "workflow").mkdir(parents=True)
    shutil.copytree(project.folder / "config", folder / "config")
    (folder / "workflow/Snakefile").write_text(f"""
configfile: "config/config.yaml"

module lop:
    snakefile: "{project.folder}/workflow/Snakefile"
    config: config

use rule * from lop
""")
    command = [sys.executable, "-m", "snakemake", "figures/ed5c.pdf", "--cores", "2", "--config", "scale=tiny"]
    (folder / "config/scales/tiny.yaml").write_text(
        "runs:\n  rl/*: {n_steps: 2_048}\nfigures:\n  ed5c: {seeds: 1, to: 2_048, bin: 2_048}\n"
    )
    done = subprocess.run(command, cwd=folder, env=project.environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr + done.stdout
    assert (folder / "figures/ed5c.pdf").read_bytes().startswith(b"%PDF")
    assert len(list(folder.glob("results/rl/*/*/seed-0/metrics-2048.parquet"))) == 2


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
