"""Put the workflow under load: thousands of short runs in one call of Snakemake, and tens of thousands to plan.

    python benchmarks/load.py

- dry run: a dry run of 20,000 runs, without results
- build: one call of Snakemake that executes 2,000 runs of slowly-changing regression, one per job, on two cores; none
  may be lost, and the memory of Snakemake must not grow with the number of finished runs
- plan: `python -m lop.plan` for the figure of these 2,000 runs, before and after 50,000 other runs join the results

Units are seconds and megabytes. All measurements use a temporary copy of the project.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from workflow import SNAKEMAKE, copied, took

SEEDS, OTHER_RUNS = 100, 50_000
CURVES = {"load_small": 20, "load_large": 200}  # number of settings, each with 100 seeds
CONFIG = "slowly_changing_regression/sgd/bp/{name}"
SCALE = """runs:
  slowly_changing_regression/*: {num_data_points: 10_000}
seeds_per_job: {slowly_changing_regression: 1}
"""
FIGURE = """
  {name}:
    caption: Many runs
    curves:
{curves}
    seeds: 100
    metric: squared_error
    to: 10_000
    bin: 10_000
    unit: examples
    x_label: Examples
    y_label: Squared error
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        project = copied(Path(folder, "project"))
        add_figures(project)
        dry = took(project, *SNAKEMAKE, "-n", "figures/load_large.pdf", "--config", "scale=load")
        print(f"dry run of 20,000 runs: {dry.seconds:.0f} s, {dry.megabytes:.0f} MB")
        memory, seconds = build(project)
        files = list(project.glob("results/slowly_changing_regression/*/*/seed-*/metrics-*.parquet"))
        assert len(files) == SEEDS * CURVES["load_small"], f"{len(files)} of 2,000 runs"
        assert (project / "figures/load_small.pdf").exists()
        print(f"build of 2,000 runs: {seconds:.0f} s, {seconds / 2_000:.2f} s per run on two cores")
        print(f"memory of Snakemake after a quarter, a half, all of them: {memory} MB")
        plan = (sys.executable, "-m", "lop.plan", "load_small", "--scale", "load")
        before = took(project, *plan)
        add_runs(project / "results/slowly_changing_regression", files[0].parents[1])
        after = took(project, *plan)
        print(f"plan: {before.seconds:.1f} s; with 50,000 other runs {after.seconds:.1f} s, {after.megabytes:.0f} MB")


def add_figures(project: Path) -> None:
    """Add figures of 2,000 and 20,000 runs, and a scale at which a run takes less than a second."""
    (project / "config/scales/load.yaml").write_text(SCALE)
    figures, methods = (project / "config/figures.yaml").read_text(), ""
    for name, count in CURVES.items():
        config, steps = CONFIG.format(name=name), [f"{0.0001 * (number + 1):.4g}" for number in range(count)]
        cfg = project / "lop" / config.replace("/", "/cfg/", 1)
        cfg.with_suffix(".yml").write_text(f"extends: sgd/bp/relu\nstep_size: [{', '.join(steps)}]\n")
        curves = [f"      s_{step}: {{runs: {config}, setting: step_size={step}}}" for step in steps]
        figures += FIGURE.format(name=name, curves="\n".join(curves))
        methods += "".join(f"  s_{step}: {{label: '{step}', colour: C0, line: solid}}\n" for step in steps)
    methods = "".join(dict.fromkeys(methods.splitlines(keepends=True)))
    (project / "config/figures.yaml").write_text(figures.replace("methods:\n", f"methods:\n{methods}", 1))


def build(project: Path) -> tuple[list[int], float]:
    """Build the small figure; return the megabytes of Snakemake's process over time, and the seconds."""
    command = [*SNAKEMAKE[:-1], "2", "figures/load_small.pdf", "--config", "scale=load"]
    environment, found = os.environ | {"PYTHONPATH": str(project)}, []
    start = time.perf_counter()
    with open(project / "log", "w") as log:
        process = subprocess.Popen(command, cwd=project, env=environment, stdout=log, stderr=log)
        while process.poll() is None:
            time.sleep(1)
            status = Path(f"/proc/{process.pid}/status").read_text() if process.poll() is None else ""
            found += [int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmRSS")]
    if process.returncode:
        sys.exit((project / "log").read_text()[-2_000:])
    return [found[len(found) // 4], found[len(found) // 2], found[-1]], time.perf_counter() - start


def add_runs(results: Path, run: Path) -> None:
    """Add runs with other parameters to the results: links to the files of one run."""
    for number in range(OTHER_RUNS // SEEDS):
        copy = results / f"agent=other_{number}" / f"{number:016x}"
        for seed in range(SEEDS):
            (copy / f"seed-{seed}").mkdir(parents=True)
            for file in run.glob("seed-0/metrics-*.parquet"):
                os.link(file, copy / f"seed-{seed}" / file.name)


if __name__ == "__main__":
    main()
