"""The wheel and the source distribution contain everything that their users need."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from lop.common.paths import ROOT

EXAMPLE = """
import torch
from torch import nn
from lop.algos.keep_plastic import KeepPlastic

net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
optimizer = torch.optim.Adam(net.parameters())
plastic = KeepPlastic(net, optimizer, replacement_rate=0.1, maturity_threshold=1)
for _ in range(3):
    net(torch.randn(5, 4)).sum().backward()
    optimizer.step()
    plastic.step()
import lop
print(lop.__file__)
"""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Return the folder of both distributions, built from the files under version control."""
    folder = tmp_path_factory.mktemp("package")
    source = folder / "source"
    files = subprocess.check_output(("git", "ls-files", "-z"), cwd=ROOT, text=True).strip("\0").split("\0")
    for name in files:
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run(
        (sys.executable, "-m", "build", "--no-isolation", "--outdir", folder / "dist", source),
        check=True,
        capture_output=True,
    )
    return folder / "dist"


def test_the_wheel_contains_all_code_and_its_data(built):
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        found = set(archive.namelist())
    wanted = subprocess.check_output(("git", "ls-files", "lop"), cwd=ROOT, text=True).split()
    kinds = (".py", ".yml", ".mplstyle", ".html", ".xml", "py.typed")
    assert {name for name in wanted if name.endswith(kinds)} - found == set()
    assert {name.split("/")[0] for name in found} == {
        "lop",
        next(name for name in found if "dist-info" in name).split("/")[0],
    }


def test_the_source_distribution_builds_the_same_wheel(built, tmp_path):
    (archive,), (wheel,) = built.glob("*.tar.gz"), built.glob("*.whl")
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    subprocess.run(
        (sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", tmp_path / "dist", source),
        check=True,
        capture_output=True,
    )
    with zipfile.ZipFile(tmp_path / "dist" / wheel.name) as one, zipfile.ZipFile(wheel) as other:
        assert {info.filename: info.CRC for info in one.infolist() if "RECORD" not in info.filename} == {
            info.filename: info.CRC for info in other.infolist() if "RECORD" not in info.filename
        }


def test_the_installed_library_works_outside_the_project(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    target = tmp_path / "installed"
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", target, wheel)
    subprocess.run(pip, check=True, capture_output=True)
    environment = {"PYTHONPATH": str(target), "PATH": "/usr/bin:/bin"}
    out = subprocess.check_output((sys.executable, "-c", EXAMPLE), cwd=tmp_path, env=environment, text=True)
    assert Path(out.strip()).is_relative_to(target)
