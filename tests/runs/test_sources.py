"""The source code that identifies a run."""

import subprocess
import sys
from pathlib import Path

import pytest

from lop.common import sources
from lop.common.paths import ROOT
from lop.common.sources import code_only

FILES = {
    "lop/__init__.py": "",
    "lop/entry.py": "import os\nfrom lop.a import x\nfrom lop.pack import b\nfrom . import c\n",
    "lop/a.py": '"""Doc."""\nfrom lop.runs import r\nx = 1  # one\n',
    "lop/c.py": "y = 2\n",
    "lop/pack/__init__.py": "",
    "lop/pack/b.py": "def f():\n    from ..d import z\n    return z\n",
    "lop/pack/assets/model.xml": "<model/>",
    "lop/d.py": "from lop.runs_of_mine import u\nz = 3\n",
    "lop/runs_of_mine.py": "u = 6\n",
    "lop/runs/__init__.py": "",
    "lop/runs/r.py": "from lop.e import v\n",
    "lop/e.py": "v = 5\n",
    "lop/unrelated.py": "w = 4\n",
}
SCIENCE = {"lop", "lop.entry", "lop.a", "lop.c", "lop.pack", "lop.pack.b", "lop/pack/assets/model.xml", "lop.d"}
SCIENCE.add("lop.runs_of_mine")  # begins like the name of a plumbing package


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    return tmp_path


def test_science_excludes_plumbing_and_code_that_only_plumbing_imports(tree):
    assert set(sources.science("lop.entry")) == SCIENCE
    assert sources.modules("lop.entry") == sorted(
        SCIENCE - {"lop/pack/assets/model.xml"} | {"lop.runs", "lop.runs.r", "lop.e"}
    )


def test_science_combines_several_entries(tree):
    assert set(sources.science("lop.c", "lop.unrelated")) == {"lop", "lop.c", "lop.unrelated"}


@pytest.mark.parametrize("name", FILES)
def test_only_changes_of_imported_scientific_code_count(tree, name):
    science, everything = sources.science("lop.entry"), sources.digest("lop.entry")
    (tree / name).write_text(FILES[name] + "\nnew = 1\n")
    counts = name.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".") in SCIENCE or name in SCIENCE
    assert (sources.science("lop.entry") != science) == counts
    assert (sources.digest("lop.entry") != everything) == (
        name not in ("lop/unrelated.py", "lop/pack/assets/model.xml")
    )


def test_code_only_removes_comments_docstrings_descriptions_and_messages():
    text = '''"""Module."""
x = "# no comment"  # comment
def f():
    """Doc
    string."""
    return """kept

# kept too  """
class A:
    "doc"
    y: int = Field(1, description="a " "unit", ge=0)


def g(): "doc"; return 1
def h(é):  # é
    raise ValueError(
        f"é {é}: "  # why
        "wrong", 3
    ) from None
def i():
    raise E(description="a"); x = 1
'''
    assert code_only(text).splitlines() == [
        'x = "# no comment"',
        "def f():",
        '    return """kept',
        "",
        '# kept too  """',
        "class A:",
        "    y: int = Field(1, description=, ge=0)",
        "def g(): ; return 1",
        "def h(é):",
        "    raise ValueError(",
        "        , 3",
        "    ) from None",
        "def i():",
        "    raise E(description=); x = 1",
    ]


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_digest_is_the_same_in_other_versions_of_python(version):
    """Results copied between machines keep their keys. Only installed interpreters are tested."""
    pythons = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    program = "from lop.common import sources; print(sources.combined(sources.science('lop.rl.run_ppo')))"
    for python in [*pythons, Path(sys.executable)]:
        found = subprocess.run([python, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
        assert found.stdout.strip() == sources.combined(sources.science("lop.rl.run_ppo"))
