"""Pictures and tables of the documentation follow the published tables."""

import re
import shutil

import pandas as pd
import pytest
from PIL import Image
from refusals import refusal

from lop.claims.registry import load_claims
from lop.common.paths import ROOT
from lop.figures.collect import read_collected, write_collected
from lop.figures.draw import plotted_numbers, stored_texts
from lop.figures.registry import Picture, load_figure
from lop.report import documentation


def collected(figure, change=0.0):
    """A table in which the value of a curve is its place, plus `change` in the last bin, the same for both seeds."""
    (panel,) = figure.curve_panels.values()
    bins = (panel.bin, panel.to)
    return pd.DataFrame(
        [
            {"panel": 0, "curve": curve, "seed": seed, "layer": pd.NA, "bin": step, "value": value, "count": 1}
            for place, curve in enumerate(panel.curves)
            for seed in (0, 1)
            for step, value in zip(bins, (place, place + change), strict=True)
        ]
    ).astype({"layer": "Int16", "panel": "Int16"})


@pytest.fixture
def folder(tmp_path):
    """A project with one table, and a page that asks for its numbers and for the verdicts of its scale."""
    for name in ("docs", "published/smoke"):
        (tmp_path / name).mkdir(parents=True)
    write_collected(collected(load_figure("fig4a", "smoke"), 2.0), tmp_path / "published/smoke/fig4a.parquet")
    blocks = [f"<!-- {what} -->\nold\n<!-- end -->" for what in ("numbers: fig4a smoke", "claims: smoke laptop")]
    blocks.append("<!-- verdicts: fig4 smoke -->\n<!-- end -->\n<!-- summary: smoke -->\n<!-- end -->")
    text = f"![](docs/fig4a_smoke.png)\nBefore\n{blocks[0]}\nBetween\n{blocks[1]}\nAfter\n{blocks[2]}\n"
    (tmp_path / "README.md").write_text(text)
    return tmp_path


@pytest.mark.slow
def test_documentation_of_this_project_is_up_to_date():
    assert list(documentation.outdated_files(ROOT)) == []


@pytest.mark.slow
@pytest.mark.parametrize("scale", ["day", "laptop"])
def test_published_claims_and_captions_are_up_to_date(scale):
    folder = ROOT / "published" / scale
    columns = ["figure", "claim", "n", "verdict"]
    pd.testing.assert_frame_equal(
        pd.read_csv(folder / "claims.csv")[columns], documentation.claims(ROOT, scale)[columns], check_dtype=False
    )
    for png in folder.glob("*.png"):
        assert stored_texts(png)["Description"] == load_figure(png.stem, scale).caption


def test_numbers_in_the_text_are_those_of_the_published_tables():
    """This concerns the captions in README.md and the section on Ant, which are not generated."""
    readme, results = (" ".join((ROOT / name).read_text("utf-8").split()) for name in ("README.md", "docs/results.md"))

    def means(name):
        numbers = plotted_numbers(read_collected(ROOT / f"published/day/{name}.parquet"), load_figure(name, "day"))
        return numbers.pivot(index="step", columns=["panel", "curve"], values="mean")

    def three_digits(value):
        return f"{float(f'{value:.3g}'):,.0f}"

    ant, mnist = means("fig4"), means("ed4a")
    end = ant[ant.index > 9_000_000].mean()
    for panel, text in enumerate((three_digits, "{:.1f}%".format, "{:.1f}%".format)):
        *first, last = (text(end[panel, method]) for method in ("std", "ns", "l2", "cbp"))
        assert f"{', '.join(first)} and {last}" in results
    best = {method: (ant[0, method].max(), ant[0, method].idxmax() / 1e6) for method in ("std", "ns")}
    for value, step in best.values():
        assert re.search(f"{three_digits(value)},? after {step:g} million steps", results)
    assert f"{best['std'][1]:g} million steps" in readme
    assert end[0, "std"] < best["std"][0] / 2
    claims = pd.read_csv(ROOT / "published/day/claims.csv").set_index("claim")
    ends = claims.loc["Continual backpropagation ends above backpropagation."]
    for method, value in {"bp": ends["second"], "continual": ends["first"]}.items():
        assert re.search(rf"from {mnist[0, method].max():.1f}%[^%]* to {value:.1f}%", readme)


def test_table_of_figures_shows_the_verdicts_of_figures_with_data(tmp_path):
    rows = ["<!-- figures:begin -->", "| `fig1` | a | 9, 9 |", "| `fig1a` | pairs | picture |", "<!-- figures:end -->"]
    found = documentation.claims(ROOT, "laptop")
    verdicts = found["verdict"][found["figure"].isin(["fig1b_first", "fig1b_all", "fig1c"])].tolist()
    numbers = [verdicts.count(one) for one in ("reproduced", "contradicted", "not reproduced", "undecided")]
    assert sum(numbers) == 9
    renewed = documentation.renewed("\n".join(rows), ROOT)
    assert f"| `fig1` | a | {', '.join(map(str, numbers))} |\n" in renewed
    assert "| `fig1a` | pairs | picture |\n" in renewed
    assert "| `fig1` | a | not tested |\n" in documentation.renewed("\n".join(rows), tmp_path)


def test_renewing_draws_pictures_and_rewrites_tables(folder):
    picture, page = folder / "docs/fig4a_smoke.png", folder / "README.md"
    assert list(documentation.outdated_files(folder)) == [picture, page]
    documentation.renew(folder)
    assert list(documentation.outdated_files(folder)) == []
    text = page.read_text()
    figure = load_figure("fig4a", "smoke")
    for place, curve in enumerate(figure.curve_panels[0].curves):
        (row,) = (line for line in text.splitlines() if line.startswith(f"| {figure.methods[curve].label} | 2 |"))
        assert f": {place} |" in row
        assert f": {place + 2} |" in row
    claims = len(load_claims("fig4a"))
    assert f"| `fig4a` | {claims} undecided |  |" in text
    assert [line.partition(" ")[0] for line in text.splitlines() if f"{claims} claims: " in line] == ["-", f"{claims}"]
    for _, claim in load_claims("fig4a"):
        assert f"| {claim.says} |" in text
    assert "old" not in text
    assert [text.index(word) for word in ("Before", "Between", "After")] == sorted(
        text.index(word) for word in ("Before", "Between", "After")
    )


def test_command_lists_and_updates_outdated_files(folder, monkeypatch, capsys):
    monkeypatch.setattr(documentation, "ROOT", folder)
    picture, page = folder / "docs/fig4a_smoke.png", folder / "README.md"

    def check():
        with pytest.raises(SystemExit) as ended:
            documentation.main(["--check"])
        return ended.value.code, [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]

    assert check() == (1, [str(picture), str(page)])
    assert not picture.exists()
    documentation.main([])
    assert capsys.readouterr().out == f"{picture}, {page}\n"
    assert check() == (0, [])
    before = [path.stat().st_mtime_ns for path in (picture, page)]
    documentation.main([])
    assert [path.stat().st_mtime_ns for path in (picture, page)] == before


def test_built_in_images_of_a_picture_are_created_before_it_is_drawn(folder, monkeypatch):
    made = []
    picture = Picture(picture="lop.imagenet.pictures:pairs", data="imagenet", classes=(3, 7))
    figure = load_figure("fig4a", "smoke")
    figure = figure.model_copy(update={"panels": (*figure.panels, picture)})
    monkeypatch.setattr(documentation, "load_figure", lambda *which: figure)
    monkeypatch.setattr(documentation, "prepare", lambda *which: made.append(which))

    def draw(rows, figure, folder, images, **more):
        assert made == [("imagenet", images, (3, 7))]
        Image.new("RGB", (1, 1)).save(folder / "a.png")
        return [None, folder / "a.png", None]

    monkeypatch.setattr(documentation, "draw", draw)
    monkeypatch.setattr(documentation, "pages", lambda root: [])
    monkeypatch.setattr(documentation, "shown_tables", documentation.tables)
    documentation.renew(folder)
    assert Image.open(folder / "docs/fig4a_smoke.png").size == (1, 1)


def test_claims_of_a_scale_without_published_tables_are_none(tmp_path):
    blocks = "<!-- claims: smoke -->\nold\n<!-- end -->\n<!-- summary: smoke -->\n<!-- end -->\n"
    rows = "<!-- figures:begin -->\n| `fig4a` | a |\n<!-- figures:end -->"
    renewed = documentation.renewed(blocks + rows, tmp_path)
    assert "| figure | smoke |\n| --- | --- |\n\n- At `smoke`, 0 claims" in renewed
    assert "<!-- summary: smoke -->\n0 claims" in renewed
    assert "| `fig4a` | not tested |" in renewed


def test_another_table_or_definition_makes_the_picture_out_of_date(folder, monkeypatch):
    documentation.renew(folder)
    table, figure = folder / "published/smoke/fig4a.parquet", load_figure("fig4a", "smoke")
    before = table.read_bytes()
    write_collected(collected(figure, 3.0), table)
    assert folder / "docs/fig4a_smoke.png" in documentation.outdated_files(folder)
    table.write_bytes(before)
    assert not list(documentation.outdated_files(folder))
    changed = figure.model_copy(update={"caption": "another"})
    monkeypatch.setattr(documentation, "load_figure", lambda *which: changed)
    assert list(documentation.outdated_files(folder)) == [folder / "docs/fig4a_smoke.png"]


def test_a_page_that_names_a_missing_table_is_reported(folder):
    shutil.rmtree(folder / "published")
    with refusal("published/smoke/fig4a.parquet"):
        documentation.renew(folder)
