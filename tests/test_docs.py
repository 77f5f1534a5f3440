"""The code in the documentation runs as written."""

import re
import subprocess
import sys

import pytest

from lop.common.paths import ROOT


@pytest.mark.slow
def test_code_of_the_page_your_network_runs_and_gives_the_documented_results(tmp_path):
    """Run all code of the page as one script in another folder, and check its output."""
    page = (ROOT / "docs" / "your_network.md").read_text()
    script = tmp_path / "page.py"
    script.write_text(
        "import torch\n\ntorch.set_num_threads(1)\n" + "\n".join(re.findall(r"```python\n(.*?)```", page, re.S))
    )
    ran = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    adam, kept, names, *measures = ran.stdout.splitlines()
    last = {name: int(re.search(r"last ten (\d+)%", line)[1]) for name, line in (("adam", adam), ("kept", kept))}
    assert last["adam"] < 40
    assert last["kept"] > 95
    assert names == "['1.conv1', '2.conv1']"
    assert [line.split(":")[0] for line in measures] == ["layers.1", "layers.3", "layers.5"]


def test_code_in_the_readme_runs(tmp_path):
    script = tmp_path / "readme.py"
    script.write_text("\n".join(re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)))
    assert "plastic.step()" in script.read_text()
    ran = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
