"""The website: every page is in its table of contents, and the gallery shows what is published."""

import json
import re
import subprocess

import pandas as pd
import pytest
import yaml

from lop.common.paths import ROOT

CONTENTS = ROOT / "docs" / "index.md"
REFERENCE = ROOT / "docs" / "api" / "index.rst"
NOT_ON_THE_SITE = {".github/pull_request_template.md", "docs/index.md", "tests/golden/README.md"}
LIBRARY = ("lop/algos", "lop/nets", "lop/envs")
INTERNAL = {  # modules that programs of users do not import
    *("lop.algos.cuda_graphs", "lop.algos.eager", "lop.algos.loops", "lop.algos.magnitudes"),
    *("lop.algos.unit_statistics", "lop.envs.original_worker", "lop.nets.numerics"),
}


@pytest.fixture
def gallery(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "_ext")
    from gallery import gallery

    return gallery


def test_every_page_is_in_the_table_of_contents():
    pages = subprocess.check_output(("git", "ls-files", "*.md"), cwd=ROOT, text=True).split()
    entries = "\n".join(re.findall(r"```\{toctree\}\n(.*?)```", CONTENTS.read_text(), re.S))
    names = re.findall(r"^(?:.*<)?([\w./]+)>?$", entries, re.M)
    listed = {(CONTENTS.parent / name).resolve().relative_to(ROOT).with_suffix("") for name in names}
    missing = set(pages) - {f"{page}.md" for page in listed}
    in_the_gallery = {page for page in pages if page.endswith("/claims.md")}
    assert missing == NOT_ON_THE_SITE | in_the_gallery


def test_the_reference_has_every_module_of_the_library():
    listed = set(re.findall(r"^   (lop[\w.]*)$", REFERENCE.read_text(), re.M))
    modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for folder in LIBRARY
        for path in (ROOT / folder).rglob("*.py")
        if path.stem != "__init__"
    }
    assert modules - listed == INTERNAL
    assert not listed & INTERNAL


def claim(figure, verdict, **values):
    numbers = ("difference", "iqm", "improvement")
    empty = dict.fromkeys(["paper_first", "paper_second", "first", "second", "p", "p_holm"])
    empty |= dict.fromkeys([name + end for name in numbers for end in ("", "_low", "_high")])
    about = {"figure": figure, "claim": f"{figure} rises.", "verdict": verdict, "scale": "day", "images": "", "n": 2}
    return {**empty, **about, "why": "", "paper_parameters": False, **values}


@pytest.fixture
def project(tmp_path):
    """Figure 9 with two panels, 9a with a picture of its own, and a figure without a picture; fig8 is unpublished."""
    captions = {name: {"caption": f"Caption of {name}."} for name in ("fig9a", "fig9b", "ed8b_rate", "fig8")}
    figures = {"fig9": {"caption": "Both.", "panels": ["fig9a", "fig9b"]}, **captions}
    published, docs = tmp_path / "published/day", tmp_path / "docs"
    for folder in (tmp_path / "config", published, docs, tmp_path / "published/runs"):
        folder.mkdir(parents=True)
    (tmp_path / "config/figures.yaml").write_text(yaml.safe_dump({"figures": figures}, sort_keys=False))
    for name in ("fig9", "fig9a", "fig9b", "ed8b_rate"):
        pd.DataFrame({"curve": ["a", "a", "b"], "seed": [0, 1, 0]}).to_parquet(published / f"{name}.parquet")
    for picture in (published / "fig9.png", published / "fig9a.png", docs / "fig9_laptop.png"):
        picture.touch()
    index = {"fig9": {"made_by": "3 runs, 2 core-hours on a processor; versions", "runs": ["rl/run"]}}
    (published / "index.json").write_text(json.dumps(index))
    claims = [
        claim("fig9a", "reproduced", first=1.5, second=1, difference=0.5, difference_low=0.2, difference_high=0.8),
        claim("fig9b", "undecided", why="has no curve c"),
    ]
    pd.DataFrame(claims).to_csv(published / "claims.csv", index=False)
    return tmp_path


def test_the_gallery_shows_pictures_seeds_verdicts_and_commands(gallery, project):
    text = gallery(project)
    assert re.findall(r"^#+ .*", text, re.M) == [
        "## Day scale",
        "### Figure 9",
        "#### Figure 9a",
        "### Extended Data figure 8b, rate",
        "## Laptop scale",
        "### Figure 9",
    ]
    whole, panel, other, laptop = re.split(r"^###+ .*\n", text, flags=re.M)[1:]
    assert re.findall(r'src="(.*?)"', text) == [
        "../published/day/fig9.png",
        "../published/day/fig9a.png",
        "fig9_laptop.png",
    ]
    assert "1 to 2 seeds per curve; 3 runs, 2 core-hours on a processor; drawn from published runs" in whole
    assert "    make figures/fig9.pdf SCALE=day" in whole
    assert "| fig9b rises. |  |  |  | 2 | **undecided**: has no curve c |" in whole
    assert "fig9a rises" not in whole
    assert "| fig9a rises. |  | 1.5, 1 | 0.5 [0.2, 0.8] | 2 | **reproduced** |" in panel
    assert "Caption of ed8b_rate." in other
    assert "drawn by training" in other
    assert "    make figures/fig9.pdf\n" in f"{laptop}\n"


def test_the_gallery_of_this_project_shows_every_published_figure(gallery):
    text = gallery(ROOT)
    for picture in ROOT.glob("published/*/*.png"):
        assert f"../{picture.relative_to(ROOT)}" in text
    for source in re.findall(r'src="(.*?)"', text):
        assert (ROOT / "docs" / source).is_file()
