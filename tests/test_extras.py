"""Without an optional package, lop names the extra that installs it; the library alone needs none."""

import subprocess
import sys

import pytest
from refusals import names

from lop.common.errors import EXIT_BAD_INPUT
from lop.common.extras import EXTRAS
from lop.common.paths import ROOT

LIBRARY = (
    "import lop.algos.keep_plastic, lop.algos.cbp, lop.algos.adam, lop.algos.redo, lop.algos.res_gnt, lop.algos.rl.ppo",
    "import lop.nets.policies, lop.nets.conv_net, lop.nets.torchvision_modified_resnet, lop.nets.online_norm",
    "import lop.measures, lop.plasticity",
)


def without(tmp_path, packages, *arguments):
    """Run Python in an environment in which packages cannot be found."""
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as util, sys\n"
        f"HIDDEN = {sorted(packages)!r}\n"
        "sys.modules.update(dict.fromkeys(HIDDEN))\n"
        "find = util.find_spec\n"
        "util.find_spec = lambda name, package=None: None if name in HIDDEN else find(name, package)\n"
    )
    environment = {"PYTHONPATH": f"{tmp_path}:{ROOT}", "PATH": "/usr/bin:/bin"}
    return subprocess.run((sys.executable, *arguments), env=environment, cwd=tmp_path, capture_output=True, text=True)


ALL = {name for packages in EXTRAS.values() for name in packages}


def test_the_library_needs_no_extra(tmp_path):
    done = without(tmp_path, ALL - {"filelock"}, "-c", "\n".join(LIBRARY))  # torch itself needs filelock
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("package", ["pyarrow", "snakemake"])
@pytest.mark.parametrize("program", [("-m", "lop.plan"), (f"{ROOT}/lop/permuted_mnist/run_mnist.py", "--help")])
def test_a_command_names_the_extra_in_one_line(program, package, tmp_path):
    done = without(tmp_path, {package}, *program)
    assert done.returncode == EXIT_BAD_INPUT
    (line,) = done.stderr.splitlines()
    names(line, package, "lop[workflow]")


@pytest.mark.parametrize(
    ("module", "package", "extra"), [("lop.envs", "mujoco", "rl"), ("lop.figures.statistics", "pandas", "workflow")]
)
def test_an_import_names_the_extra(module, package, extra, tmp_path):
    done = without(tmp_path, {package}, "-c", f"import {module}")
    assert done.returncode == 1
    names(done.stderr.splitlines()[-1], package, f"lop[{extra}]")
