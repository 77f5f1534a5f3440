"""What the workflow itself takes, beside the runs: planning, starting, collecting.

    python benchmarks/workflow.py

- dry run: Snakemake's plan of all figures at the paper's scale, nothing of them there
- run: a run of next to no steps, by hand: start, checkpoint and metrics; and one more job of Snakemake's on top of it
- collect: the table of `ed2b` (6 panels, 4 curves, 100 seeds) from runs of some length, and ten times that length

Seconds, and a process's most memory in megabytes. All of it is done in a copy of the project in a temporary folder.
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

CEILINGS = {"dry run": 40.0, "dry run, MB": 2048.0, "a run beyond its work": 1.5, "collect, memory of ten times": 1.2}
SNAKEMAKE = (sys.executable, "-m", "snakemake", "--quiet", "--cores", "1")
SLOPE = (10, 30)  # runs of the two builds whose difference tells what one takes
PARTS = ("Snakefile", "config", "envs", "lop", "profiles", "workflow", "pyproject.toml", "requirements.lock")
SCALE = """runs:
  rl/*: {n_steps: 10}
  slowly_changing_regression/*: {num_data_points: 10_000}
"""
PATHS = """
import sys
from lop.problems import first_run
first = first_run(*sys.argv[1:])
print(*(f"results/{first.with_seed(seed).path}" for seed in range(50)), sep="\\n")
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
        project = Path(folder, "project")
        project.mkdir()
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, project / part)
        (project / "config/scales/tiny.yaml").write_text(SCALE)

        dry = took(project, *SNAKEMAKE, "-n", "--config", "scale=paper")
        found = {"dry run": dry.seconds, "dry run, MB": dry.megabytes}
        found |= {"a run beyond its work": max(jobs(project, name) for name in ("rl", "slowly_changing_regression"))}
        short, long = (collecting(project, rows) for rows in (300, 3_000))
    found |= {"collect, memory of ten times": long.megabytes / short.megabytes}
    worse = [name for name, value in found.items() if value > CEILINGS[name]]
    for name, value in found.items():
        print(f"{name:32} {value:8.2f}   at most {CEILINGS[name]:g}" + ("   MISSED" if name in worse else ""))
    sys.exit(bool(worse))


def jobs(project: Path, problem: str) -> float:
    """Seconds that one more run of a problem takes in the workflow, which does next to nothing itself."""
    config, setting = {"rl": ("ant/std", "default")}.get(problem, ("flip_one/relu", "step_size=0.01"))
    names = [sys.executable, "-c", PATHS, problem, config, "tiny", setting]
    environment = os.environ | {"PYTHONPATH": str(project)}
    files = subprocess.check_output(names, cwd=project, env=environment, text=True).splitlines()
    few, many = SLOPE
    took(project, *SNAKEMAKE, "--config", "scale=tiny", "--", files[49])  # what is compiled once
    seconds = [
        took(project, *SNAKEMAKE, "--config", "scale=tiny", "--", *some).seconds
        for some in (files[:few], files[few : few + many])
    ]
    one = (seconds[1] - seconds[0]) / (many - few)
    print(f"{problem}: {few} runs {seconds[0]:.1f} s, {many} runs {seconds[1]:.1f} s: {one:.2f} s a run")
    return one


def collecting(project: Path, rows: int) -> Took:
    """The table of `ed2b`, of runs with this many values."""
    fill(project / "results", rows)
    result = took(project, sys.executable, "-c", COLLECT)
    print(f"collect, {rows:,} values a run: {result.seconds:.1f} s, {result.megabytes:.0f} MB")
    return result


def took(folder: Path, *command: str) -> Took:
    """Of a command that ends well; memory is its own."""
    environment = os.environ | {"PYTHONPATH": str(folder)}
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    output = process.stdout.read() if process.stdout else b""
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)}:\n{output.decode()}")
    return Took(time.perf_counter() - start, usage.ru_maxrss / 1024)


def fill(results: Path, rows: int) -> None:
    """The runs of `ed2b`, with this many values each."""
    figure = load_figure("ed2b", "paper")
    panel = next(iter(figure.curve_panels.values()))
    for path, spec in by_path(shown_runs(figure, Conditions())).items():
        log = MetricsLog()
        for row in range(1, rows + 1):
            log.log(panel.metric, row * panel.to // rows, 1.0)
        write_metrics(results / path, log, {"origin": spec.origin, "horizon": spec.horizon})


if __name__ == "__main__":
    main()
