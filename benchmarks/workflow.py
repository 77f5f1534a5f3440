"""Measure the overhead of the workflow: planning, starting runs, collecting.

    python benchmarks/workflow.py

- dry run: a dry run of Snakemake for all figures at paper scale, without results
- by hand: a minimal run, started as a script (interpreter, imports, checkpoint, metrics); PPO needs torch,
  slowly-changing regression only numba, and the random walk of docs/extending.md neither
- in the workflow: one additional such run in a build; one job executes ten runs of slowly-changing regression
- collect: the table of `ed2b` (6 panels, 4 curves, 100 seeds) from runs with 300 values each and with ten times as many

Units are seconds, and megabytes for the peak memory of a process. All measurements use a temporary copy of the project.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from lop.common.paths import ROOT
from lop.figures.registry import load_figure
from lop.figures.runs import by_path, shown_runs
from lop.runs.metrics import MetricsLog, write_metrics
from lop.runs.spec import Conditions

CEILINGS = {
    "dry run": 40.0,
    "dry run, MB": 2048.0,
    "by hand, PPO": 1.5,
    "by hand, regression": 1.5,
    "by hand, random walk": 0.5,
    "in the workflow, PPO": 1.5,
    "in the workflow, regression": 0.5,
    "collect, memory of ten times": 1.2,
}
SNAKEMAKE = (sys.executable, "-m", "snakemake", "--quiet", "--cores", "1")
PARTS = ("Snakefile", "config", "envs", "lop", "profiles", "workflow", "pyproject.toml", "requirements.lock")
SCALE = """runs:
  rl/*: {n_steps: 10}
  slowly_changing_regression/*: {num_data_points: 10_000}
  random_walk/*: {n_steps: 10}
seeds_per_job: {slowly_changing_regression: 10}
"""
RUNS = {  # problem, config, setting
    "PPO": ("rl", "ant/std", "default"),
    "regression": ("slowly_changing_regression", "flip_one/relu", "step_size=0.01"),
    "random walk": ("random_walk", "follow", "step_size=0.1"),
}
WALK = ("__init__.py", "parameters.py", "run_walk.py", "cfg/follow.yml")  # files of the problem in docs/extending.md
PATHS = """
import sys
from lop.problems import first_run
first = first_run(*sys.argv[1:])
print(*(f"results/{first.with_seed(seed).path}" for seed in range(100)), sep="\\n")
"""
COLLECT = """
from pathlib import Path
from lop.figures.collect import collect
from lop.figures.registry import load_figure
from lop.figures.runs import shown_runs
from lop.runs.spec import Conditions
figure = load_figure("ed2b", "paper")
table = collect(figure, shown_runs(figure, Conditions()), Path("results"))
assert table["seed"].nunique() == 100 and table.groupby(["panel", "curve"]).ngroups == 24, table
"""


class Took(NamedTuple):
    seconds: float
    megabytes: float


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = copied(Path(folder, "project"))
        (project / "config/scales/tiny.yaml").write_text(SCALE)
        (project / "lop/random_walk/cfg").mkdir(parents=True)
        page = (ROOT / "docs/extending.md").read_text()
        for name in (f"lop/random_walk/{file}" for file in WALK):
            (project / name).write_text(page.partition(f"`{name}`")[2].split("```", 2)[1].partition("\n")[2])
        with open(project / "config/resources.yaml", "a") as resources:
            resources.write("  random_walk: {mem_mb: 500}\n")

        dry = took(project, *SNAKEMAKE, "-n", "--config", "scale=paper")
        found = {"dry run": dry.seconds, "dry run, MB": dry.megabytes}
        found |= {f"by hand, {name}": by_hand(project, *run) for name, run in RUNS.items()}
        found |= {f"in the workflow, {name}": jobs(project, *RUNS[name]) for name in ("PPO", "regression")}
        short, long = (collecting(project, rows) for rows in (300, 3_000))
    found |= {"collect, memory of ten times": long.megabytes / short.megabytes}
    worse = [name for name, value in found.items() if value > CEILINGS[name]]
    for name, value in found.items():
        print(f"{name:32} {value:8.2f}   at most {CEILINGS[name]:g}" + ("   MISSED" if name in worse else ""))
    sys.exit(bool(worse))


def copied(project: Path) -> Path:
    """Copy this project, without results, to a new folder."""
    project.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, project / part)
    return project


def by_hand(project: Path, problem: str, config: str, setting: str) -> float:
    """Return the seconds of the fastest of five runs."""
    entry = {"rl": "run_ppo", "slowly_changing_regression": "run_regression", "random_walk": "run_walk"}[problem]
    script = (sys.executable, f"lop/{problem}/{entry}.py", "-c", f"lop/{problem}/cfg/{config}.yml", "--scale", "tiny")
    return min(took(project, *script, "--setting", setting, "-s", str(100 + seed)).seconds for seed in range(5))


def jobs(project: Path, problem: str, config: str, setting: str) -> float:
    """Return the seconds that one additional run takes in a build."""
    names = [sys.executable, "-c", PATHS, problem, config, "tiny", setting]
    environment = os.environ | {"PYTHONPATH": str(project)}
    files = subprocess.check_output(names, cwd=project, env=environment, text=True).splitlines()
    last, few, many = (99, 10, 30) if problem == "slowly_changing_regression" else (29, 5, 20)
    took(project, *SNAKEMAKE, "--config", "scale=tiny", "--", files[last])  # compiles code that later runs reuse
    seconds = [
        took(project, *SNAKEMAKE, "--config", "scale=tiny", "--", *some).seconds
        for some in (files[:few], files[few : few + many])
    ]
    one = (seconds[1] - seconds[0]) / (many - few)
    print(f"{problem}: {few} runs {seconds[0]:.1f} s, {many} runs {seconds[1]:.1f} s: {one:.2f} s per run")
    return one


def collecting(project: Path, rows: int) -> Took:
    """Measure collecting the table of `ed2b` from runs with `rows` values each."""
    fill(project / "results", rows)
    result = took(project, sys.executable, "-c", COLLECT)
    print(f"collect, {rows:,} values per run: {result.seconds:.1f} s, {result.megabytes:.0f} MB")
    return result


def took(folder: Path, *command: str) -> Took:
    """Return the duration and the peak memory of a command, which must succeed."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}:\n{output.decode()}")
    return Took(time.perf_counter() - start, usage.ru_maxrss / 1024)


def fill(results: Path, rows: int) -> None:
    """Write the metrics of all runs of `ed2b`, with `rows` values each."""
    figure = load_figure("ed2b", "paper")
    panel = next(iter(figure.curve_panels.values()))
    for path, spec in by_path(shown_runs(figure, Conditions())).items():
        log = MetricsLog()
        for row in range(1, rows + 1):
            log.log(panel.metric, row * panel.to // rows, 1.0)
        write_metrics(results / path, log, {"origin": spec.origin, "horizon": spec.horizon})


if __name__ == "__main__":
    main()
