"""A copy of the project in its own folder, at smoke scale unless an option says otherwise."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from lop.common.paths import ROOT

PARTS = ("Snakefile", "workflow", "profiles", "config", "lop", "envs", "CITATION.cff", "LICENSE")
MADE = ("results", "figures", "data", ".snakemake")
FIGURE, TABLE, DRAW = "figures/fig4a.pdf", "collect fig4a", "draw fig4a"
RUNS = {f"rl/ant/{method} seed {seed}" for method in ("std", "ns", "l2", "cbp") for seed in (0, 1)}
JOBS = {f"rl/ant/{method} seed 0-1" for method in ("std", "ns", "l2", "cbp")}
SEEDS_PER_JOB = 'seeds_per_job: {"*": 2, slowly_changing_regression: 3}'  # in the file of the smoke scale


class Project:
    """A copy of the project, including the code that numba has compiled.

    Args:
        folder: folder to create for the copy.
        of: project to copy, including what has been built there.
        python: interpreter that runs Snakemake and its jobs.
    """

    def __init__(self, folder: Path, of: Path = ROOT, python: Path | str = sys.executable):
        self.folder, self.python = folder, str(python)
        folder.mkdir(parents=True)
        for part in PARTS if of == ROOT else (*PARTS, *MADE):
            if (of / part).is_dir():
                shutil.copytree(of / part, folder / part, ignore=shutil.ignore_patterns("*.tmp.*"))
            elif (of / part).exists():
                shutil.copy(of / part, folder / part)

    def command(self, *arguments: str) -> list[str]:
        scale = ["--config", "scale=smoke"] if "--config" not in arguments else []
        return [self.python, "-m", "snakemake", *arguments, *scale]

    @property
    def environment(self) -> dict[str, str]:
        """The environment of a user, in which Python writes bytecode."""
        inherited = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        return inherited | {"PYTHONPATH": str(self.folder)}

    def run(self, *command: str, folder: Path | None = None) -> subprocess.CompletedProcess:
        return subprocess.run(command, cwd=folder or self.folder, env=self.environment, capture_output=True, text=True)

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess:
        return self.run(*self.command(*arguments))

    def build(self, *targets: str) -> str:
        """Build targets and return Snakemake's output; the arguments may include options."""
        done = self.snakemake(*targets, "--cores", "2")
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stderr + done.stdout

    def stale(self, *targets: str) -> set[str]:
        """Return the jobs that a build would execute; the arguments may include options."""
        done = self.snakemake("-n", *targets)
        assert done.returncode == 0, done.stderr + done.stdout
        jobs = re.findall(r"^Job \d+: (.*)$", done.stdout + done.stderr, re.MULTILINE)
        return {job.replace(" at smoke scale", "") for job in jobs}

    def refusal(self, *arguments: str) -> str:
        """Return the single error line of a build that must fail."""
        done = self.snakemake(*arguments, "--cores", "1")
        output = done.stderr + done.stdout
        assert done.returncode != 0, output
        assert "Traceback" not in output, output
        lines = {line for line in output.splitlines() if line.startswith("error: ")}  # a log may repeat it
        assert len(lines) == 1, output
        return lines.pop()

    def edit(self, name: str, old: str, new: str) -> None:
        path = self.folder / name
        text = path.read_text()
        assert old in text, f"{name}: no {old!r}"
        path.write_text(text.replace(old, new))

    def append(self, name: str, text: str) -> None:
        with open(self.folder / name, "a") as file:
            file.write(text)

    def paths(self, figure: str = "fig4a", scale: str = "smoke") -> dict[str, str]:
        """Return the metrics files of a figure's runs, as Snakemake targets, keyed by the names of the runs."""
        program = (
            "import json; from lop.figures.registry import load_figure; from lop.figures.runs import shown_runs\n"
            "from lop.runs.configured import configured\n"
            f"runs = shown_runs(load_figure({figure!r}, {scale!r}), configured().conditions)\n"
            "print(json.dumps({run.spec.name: f'results/{run.spec.path}' for run in runs}))"
        )
        done = self.run(self.python, "-c", program)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def metrics(self, config: str = "ant/std", seed: int = 0) -> Path:
        """Return the metrics file of a run of figure 4a."""
        return self.folder / self.target(config, seed)

    def target(self, config: str = "ant/std", seed: int = 0) -> str:
        return self.paths()[f"rl/{config} seed {seed}"]
