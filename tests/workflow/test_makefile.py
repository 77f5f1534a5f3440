"""The Snakemake commands that make runs."""

import os
import shlex
import subprocess

import pytest
from snakemake.cli import get_argument_parser

from lop.common.paths import ROOT

TARGETS = {
    "figures/fig4a.pdf": ["figures/fig4a.pdf"],
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
