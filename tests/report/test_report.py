"""The page of what there is: from runs and figures made by hand, and as a browser sees it."""

import base64
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from io import BytesIO

import pytest
from lop.plan.wanted import wanted_runs
from PIL import Image

from lop.common.paths import ROOT
from lop.data.sets import Images
from lop.figures.collect import collect, digest_of_runs, keys_of_runs
from lop.figures.draw import draw
from lop.figures.registry import load_figure
from lop.report.gather import gather
from lop.report.page import page, workflow
from lop.runs.metrics import MetricsLog, write_metrics

IMAGES = Images("glyphs", 0)
NAMES = ["fig4a", "fig4b", "fig3a"]


def about(spec, **changes):
    return {
        "parameters": spec.identity, "seed": spec.seed, "code_digest": spec.code_digest, "seconds": 1800.0,
        "resumed": 1, "device": "cpu", "started": "2026-01-02T02:34:05", "ended": "2026-01-02T03:04:05",
        "versions": {"python": "3.11", "torch": "2"},
        "machine": {"node": "here", "processor": "a <b>processor</b>", "system": "Linux", "cores": 2},
        "problem": "rl", "config": spec.config,
    } | changes  # fmt: skip


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Two of eight runs, one of other code; one of three figures drawn."""
    results, figures = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("figures")
    runs = [(path, spec) for path, spec in wanted_runs("fig4a", "smoke", IMAGES).items() if spec.config == "ant/cbp"]
    for (path, spec), changes in zip(runs, [{}, {"code_digest": "0123456789abcdef"}], strict=True):
        log = MetricsLog()
        for step in range(2_048, 10_241, 2_048):
            log.log("return", step, step / 100 + spec.seed)
        write_metrics(results / path, log, about(spec, **changes))
    figure = load_figure("fig4a", "smoke")
    draw(collect(figure, results, only={path for path, _ in runs}), figure, figures)
    return gather("smoke", results, figures, IMAGES, NAMES)


class Page(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def all(self, tag: str, key: str) -> list[str]:
        return [attributes[key] for name, attributes in self.tags if name == tag and attributes.get(key)]


def test_what_there_is_is_told(contents):
    drawn = {one.name: one for one in contents.figures}
    assert list(drawn) == NAMES
    assert (drawn["fig4a"].wanted, drawn["fig4a"].ready) == (8, 1)
    assert drawn["fig4a"].waits == {"missing": 6, "of other code": 1}
    assert drawn["fig4a"].scale == "smoke"
    assert not drawn["fig4b"].picture
    assert drawn["fig3a"].wanted == 0
    (runs,) = contents.runs
    assert (runs.name, runs.seeds, runs.seconds, runs.resumed) == ("rl/ant/cbp", [0, 1], 3600.0, 2)
    assert runs.states == {"as configured": 1, "of other code": 1}
    assert contents.hours == 1
    assert contents.jobs == {"rl": 8}


def test_the_page_is_whole_and_asks_for_nothing(contents):
    text = page(contents)
    found = Page(text)
    (picture,) = found.all("img", "src")
    with Image.open(BytesIO(base64.b64decode(picture.partition(",")[2]))) as image:
        assert image.format == "PNG"
    assert sorted(found.all("a", "download")) == ["fig4a.csv", "fig4a.pdf", "fig4a.png"]
    assert not [tag for tag, _ in found.tags if tag in ("link", "iframe", "object")]
    addresses = found.all("img", "src") + found.all("a", "href") + found.all("script", "src")
    assert all(address.startswith(("data:", "#")) for address in addresses)
    assert not re.search(r"url\(|@import|https?:", text)
    places = set(found.all("article", "id") + found.all("h2", "id") + found.all("tr", "id"))
    assert {one[1:] for one in found.all("a", "href") if one.startswith("#")} <= places


def test_text_stays_text(contents):
    text = page(contents)
    assert "a &lt;b&gt;processor&lt;/b&gt;" in text
    assert "<b>" not in text
    assert "&lt;i&gt;" in workflow({"<i>": 1})


def test_changed_code_and_missing_figures_stand_out(contents):
    text = page(contents)
    assert '<span class="not">1 of other code</span>' in text
    assert "Not drawn yet: <code>make figures/fig4b.pdf</code>" in text
    assert "0123456789ab" in text


def test_a_run_that_tells_too_little_is_damaged(tmp_path):
    path, spec = next(iter(wanted_runs("fig4a", "smoke", IMAGES).items()))
    of_run = about(spec)
    del of_run["seconds"]
    write_metrics(tmp_path / path, MetricsLog(), of_run)
    contents = gather("smoke", tmp_path, tmp_path, IMAGES, ["fig4a"])
    assert contents.figures[0].waits == {"damaged": 1, "missing": 7}
    assert contents.runs == []


@pytest.mark.parametrize("changed", [False, True])
def test_a_picture_of_earlier_runs_is_told(tmp_path, changed):
    figure, runs = load_figure("fig4a", "smoke"), wanted_runs("fig4a", "smoke", IMAGES)
    for path, spec in runs.items():
        log = MetricsLog()
        log.log("return", 2_048, 1.0)
        write_metrics(tmp_path / path, log, about(spec, key="earlier" if changed and spec.seed else spec.key))
    digest = digest_of_runs(keys_of_runs(figure, tmp_path))
    draw(collect(figure, tmp_path), figure, tmp_path, runs=digest)
    contents = gather("smoke", tmp_path, tmp_path, IMAGES, ["fig4a"])
    assert contents.figures[0].ready == len(runs)
    assert contents.figures[0].of_earlier_runs == changed
    assert ("from earlier runs" in page(contents)) == changed


def test_a_wrong_figure_is_told_in_one_line(tmp_path):
    command = [sys.executable, "-m", "lop.report", "fig9", "--output", str(tmp_path / "report.html")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: figure: found 'fig9', allowed: ")
    assert done.stderr.count("\n") == 1


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium")
def test_a_browser_shows_it(contents, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(page(contents))

    def seen(fragment: str) -> str:
        done = subprocess.run(
            [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0",
             f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", "--virtual-time-budget=2000",
             f"file://{path}#{fragment}"],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert "CONSOLE" not in done.stderr, done.stderr
        return done.stdout

    large = seen("show=fig4a")
    assert re.search(r'<dialog id="large" open', large)
    assert re.search(r'<dialog[^>]*><img alt="fig4a: [^"]*" src="data:image/png', large)
    assert '<dialog id="large"><img' in seen("fig4a")
    kinds = Page(seen("claims=reproduced"))
    pressed = [one.get("data-kind") for tag, one in kinds.tags if tag == "button" and one.get("aria-pressed") == "true"]
    rows = [one for tag, one in kinds.tags if tag == "tr" and "data-verdict" in one]
    assert pressed == ["reproduced"] or not rows
    assert all(("hidden" in one) == (not one["data-verdict"].startswith("reproduced")) for one in rows)
