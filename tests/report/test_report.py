"""The HTML report of figures and runs: its content and its display in a browser."""

import base64
import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from pathlib import Path
from threading import Thread

import pytest
import torch
from PIL import Image
from refusals import error_line, names
from written import write_run

from lop.common.sources import combined
from lop.figures.collect import collect
from lop.figures.draw import draw
from lop.figures.registry import figure_names, load_figure
from lop.figures.runs import shown_runs, table_key
from lop.report.__main__ import main
from lop.report.gather import gather
from lop.report.page import page, workflow
from lop.runs.spec import IDENTITY, Conditions

CONDITIONS = Conditions()
NAMES = ["fig4a", "fig4b", "fig3a"]
FIGURE = load_figure("fig4a", "smoke")
RUNS = shown_runs(FIGURE, CONDITIONS)
CBP = [run for run in RUNS if run.curve == "cbp"]


def write_returns(results, spec, **changes):
    rows = [("return", step, None, step / 100 + spec.seed) for step in range(2_048, 10_241, 2_048)]
    return write_run(results, spec, rows, **changes)


@pytest.fixture(scope="module")
def contents(tmp_path_factory):
    """Gather two of eight runs, one run of other code in the folder of that code, and one of three figures."""
    results, figures = tmp_path_factory.mktemp("results"), tmp_path_factory.mktemp("figures")
    for run in CBP:
        write_returns(results, run.spec)
    (std,) = (run.spec for run in RUNS if run.spec.name == "rl/ant/std seed 0")
    earlier = std.identity | {"code": std.identity["code"] | {"lop.algos.adam": "0"}}
    written = write_returns(results, std, origin=std.origin | earlier)
    group = results / std.group.with_name("earlier")
    (group / std.folder.name).mkdir(parents=True)
    written.rename(group / std.folder.name / written.name)
    (group / IDENTITY).write_text(json.dumps(earlier))
    draw(collect(FIGURE, CBP, results), FIGURE, figures)
    return gather("smoke", results, figures, CONDITIONS, NAMES)


class Page(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def all(self, tag: str, key: str) -> list[str]:
        return [attributes[key] for name, attributes in self.tags if name == tag and attributes.get(key)]


def test_figures_and_runs_are_gathered(contents):
    drawn = {one.name: one for one in contents.figures}
    assert list(drawn) == NAMES
    assert (drawn["fig4a"].wanted, drawn["fig4a"].ready) == (8, 2)
    assert drawn["fig4a"].waits["of other code"] == 1
    assert sum(drawn["fig4a"].waits.values()) == 6
    assert drawn["fig4a"].scale == "smoke"
    assert not drawn["fig4b"].picture
    assert drawn["fig3a"].wanted == 0
    (runs,) = contents.runs
    assert (runs.name, runs.seeds, runs.seconds, runs.resumed) == ("rl/ant/cbp", [0, 1], 3600.0, 2)
    assert [json.loads(one)["n_steps"] for one in runs.parameters] == [CBP[0].spec.horizon]
    assert contents.hours == 1
    assert contents.jobs == {"rl": 8}


def test_page_is_self_contained(contents):
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


def test_text_is_escaped(contents):
    text = page(contents)
    assert "a &lt;b&gt;processor&lt;/b&gt;" in text
    assert "<b>" not in text
    assert "&lt;i&gt;" in workflow({"<i>": 1})


def test_page_reports_changed_code_and_missing_figures(contents):
    text = page(contents)
    assert "1 of other code" in text
    assert torch.__version__ in text
    assert "<code>make figures/fig4b.pdf</code>" in text
    assert "<code>make figures/fig4a.pdf</code>" not in text
    assert combined(CBP[0].spec.identity["code"])[:12] in text


@pytest.mark.parametrize("changes", [{"format": 0}, {"origin": {}}, {"horizon": 3}])
def test_file_of_another_format_or_run_counts_as_damaged(tmp_path, changes):
    write_returns(tmp_path, RUNS[0].spec, **changes)
    contents = gather("smoke", tmp_path, tmp_path, CONDITIONS, ["fig4a"])
    assert contents.figures[0].waits == {"damaged": 1, "missing": 7}
    assert contents.runs == []


def test_page_names_a_damaged_file_and_keeps_the_claims_about_other_figures(tmp_path):
    for run in CBP:
        write_returns(tmp_path, run.spec)
    damaged = write_returns(tmp_path, shown_runs(load_figure("fig3c", "smoke"), CONDITIONS)[0].spec)
    damaged.write_bytes(b"PAR1")
    contents = gather("smoke", tmp_path, tmp_path, CONDITIONS, ["fig3c", "fig4a"])
    assert {claim["figure"] for claim in contents.claims} == {"fig4a"}
    names(contents.claims_summary, damaged, "5 claims")


@pytest.mark.parametrize("changed", [False, True])
def test_picture_of_earlier_runs_is_marked(tmp_path, changed):
    for run in RUNS:
        write_returns(tmp_path, run.spec)
    draw(collect(FIGURE, RUNS, tmp_path), FIGURE, tmp_path, table=table_key(FIGURE, CBP if changed else RUNS))
    contents = gather("smoke", tmp_path, tmp_path, CONDITIONS, ["fig4a"])
    assert contents.figures[0].ready == len(RUNS)
    assert contents.figures[0].of_earlier_runs == changed
    assert ('<span class="not">' in page(contents)) == changed


def test_unknown_figure_is_rejected(tmp_path, capsys):
    names(error_line(capsys, main, ["fig9", "--output", str(tmp_path / "report.html")]), "fig9", *figure_names())
    assert not list(tmp_path.iterdir())


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def seen_by_browser(path: Path, fragment: str = "") -> tuple[str, str]:
    """Return the document that Chromium shows, and its messages."""
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0",
         f"--user-data-dir={path.parent / 'profile'}", "--dump-dom", "--virtual-time-budget=2000",
         f"file://{path}#{fragment}"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium")
def test_browser_runs_no_other_script_and_requests_nothing(contents, tmp_path):
    """The page's policy holds even for tags that someone has added to it."""
    requests = []

    class Listening(BaseHTTPRequestHandler):
        def do_GET(self):
            requests.append(self.path)

    with HTTPServer(("127.0.0.1", 0), Listening) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        added = "<script>document.title = 'changed'</script><img src=x onerror=\"document.title = 'changed'\">"
        added += f"<script src='{address}/script.js'></script><img src='{address}/image.png'>"
        added += f"<iframe src='{address}/frame'></iframe><link rel='stylesheet' href='{address}/style.css'>"
        (tmp_path / "report.html").write_text(page(contents).replace("</body>", f"{added}</body>"))
        document, messages = seen_by_browser(tmp_path / "report.html")
        server.shutdown()
    assert "<title>changed" not in document
    assert "Content Security Policy" in messages
    assert not requests


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium")
def test_browser_shows_enlarged_figures_and_filtered_claims(contents, tmp_path):
    path = tmp_path / "report.html"
    first, *others = contents.claims
    assert others
    path.write_text(page(replace(contents, claims=[first | {"verdict": "reproduced"}, *others])))

    def seen(fragment: str) -> str:
        document, messages = seen_by_browser(path, fragment)
        assert "CONSOLE" not in messages, messages
        return document

    large = seen("show=fig4a")
    assert re.search(r'<dialog id="large" open', large)
    assert re.search(r'<dialog[^>]*><img alt="fig4a: [^"]*" src="data:image/png', large)
    assert '<dialog id="large"><img' in seen("fig4a")
    kinds = Page(seen("claims=reproduced"))
    pressed = [one.get("data-kind") for tag, one in kinds.tags if tag == "button" and one.get("aria-pressed") == "true"]
    rows = [one for tag, one in kinds.tags if tag == "tr" and "data-verdict" in one]
    assert pressed == ["reproduced"]
    assert ["hidden" in one for one in rows] == [False] + [True] * len(others)
