"""The Snakemake commands that make runs, and the set-up."""

import os
import shlex
import shutil
import subprocess

import pytest
from snakemake.cli import get_argument_parser

from lop.common.paths import ROOT

TARGETS = {
    "figures/fig4a.pdf": ["figures/fig4a.csv", "figures/fig4a.pdf", "figures/fig4a.png"],
    "figures/claims.md": ["figures/claims.md"],
    "results/tables/fig4a/0123456789abcdef.parquet": ["results/tables/fig4a/0123456789abcdef.parquet"],
    "figures": [],
    "claims": ["claims"],
    "plan": ["plan"],
    "report": ["report"],
}


@pytest.mark.parametrize("scale", [None, "smoke"])
@pytest.mark.parametrize("target", TARGETS)
def test_targets_are_not_parsed_as_settings(target, scale):
    command = ["make", "-n", target, "CORES=3", *([f"SCALE={scale}"] if scale else [])]
    # Without the variables that `make test` passes on.
    told = subprocess.check_output(command, cwd=ROOT, text=True, env={"PATH": os.environ["PATH"]})
    last = told.splitlines()[-1]
    asked = get_argument_parser().parse_args(shlex.split(last)[1:])
    assert sorted(asked.targets) == TARGETS[target]
    assert asked.config == ([f"scale={scale}"] if scale else None)


@pytest.mark.parametrize(
    ("python", "facts"),
    [("exit 1", ("3.11", "PYTHON=/path/to/python")), ('[ "$2" != venv ]', (".venv", "writable"))],
    ids=["too old", "cannot create an environment"],
)
def test_a_failed_set_up_is_explained_in_one_line(python, facts, tmp_path):
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\n{python}\n")
    interpreter.chmod(0o755)
    command = ("make", "setup", f"PYTHON={interpreter}")
    done = subprocess.run(command, cwd=tmp_path, text=True, capture_output=True, env={"PATH": os.environ["PATH"]})
    assert done.returncode != 0
    (line,) = (line for line in done.stdout.splitlines() if line.startswith(("missing: ", "failed: ")))
    assert all(fact in line for fact in facts), line


def test_the_cache_of_snakemake_needs_no_home():
    environment = {"PATH": os.environ["PATH"], "HOME": "/proc"}
    told = subprocess.check_output(("make", "-pn", "help"), cwd=ROOT, text=True, env=environment)
    assert f"XDG_CACHE_HOME := {ROOT}/.snakemake/cache" in told
