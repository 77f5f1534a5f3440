import pytest

from lop.common import sources
from lop.common.sources import code_only

FILES = {
    "lop/__init__.py": "",
    "lop/entry.py": "import os\nfrom lop.a import x\nfrom lop.pack import b\nfrom . import c\n",
    "lop/a.py": '"""Doc."""\nx = 1  # one\n',
    "lop/c.py": "y = 2\n",
    "lop/pack/__init__.py": "",
    "lop/pack/b.py": "def f():\n    from ..d import z\n    return z\n",
    "lop/d.py": "z = 3\n",
    "lop/unrelated.py": "w = 4\n",
}


@pytest.fixture
def tree(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    return tmp_path


def test_everything_imported_counts_and_nothing_else(tree):
    expected = {"lop", "lop.entry", "lop.a", "lop.c", "lop.pack", "lop.pack.b", "lop.d"}
    assert set(sources.sources("lop.entry")) == expected


def test_several_entries_count_together(tree):
    assert set(sources.sources("lop.a", "lop.unrelated")) == {"lop", "lop.a", "lop.unrelated"}


@pytest.mark.parametrize("name", [name for name in FILES if name != "lop/unrelated.py"])
def test_code_changes_the_digest(tree, name):
    before = sources.digest("lop.entry")
    (tree / name).write_text(FILES[name] + "\nnew = 1\n")
    assert sources.digest("lop.entry") != before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("lop/unrelated.py", "w = 5\n"),
        ("lop/a.py", '"""Another\ndocstring."""\n\n# a comment\nx = 1\n'),
        ("lop/c.py", "y = 2    # why\n\n\n"),
    ],
)
def test_what_is_not_executed_does_not(tree, name, text):
    before = sources.digest("lop.entry")
    (tree / name).write_text(text)
    assert sources.digest("lop.entry") == before


def test_code_only():
    text = '''"""Module."""
x = "# no comment"  # comment
def f():
    """Doc
    string."""
    return """kept
# kept too"""
class A:
    "doc"
    y: int = 1


def g(): "doc"; return 1
'''
    assert code_only(text).splitlines() == [
        'x = "# no comment"',
        "def f():",
        '    return """kept',
        '# kept too"""',
        "class A:",
        "    y: int = 1",
        'def g(): "doc"; return 1',
    ]
