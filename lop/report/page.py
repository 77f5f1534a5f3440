"""Layout of the page, rendered from the template page.html as one self-contained file."""

import base64
import hashlib
from itertools import pairwise
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from lop.common.core_hours import hours_text
from lop.report.gather import Contents

BOX, GAP, HEIGHT, ROW = 210, 60, 34, 46  # dimensions of the workflow diagram, in pixels


def page(contents: Contents) -> str:
    """Return the page as HTML, with all contents escaped and a policy that allows no other script and no request."""
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["sha256"] = lambda text: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    dag = workflow(contents.jobs)
    places = {run.name: f"run-{place}" for place, run in enumerate(contents.runs)}
    return environment.get_template("page.html").render(c=contents, made=places, hours=hours_text, dag=dag)


def workflow(jobs: dict[str, int]) -> Markup:
    """Return an SVG diagram of the workflow from data to figures.

    Args:
        jobs: {problem: number of runs}.
    """
    rows = [f"train {name}: {n:,} runs" for name, n in sorted(jobs.items())] or ["train"]
    middle = ROW * (len(rows) - 1) / 2
    columns: list[list[tuple[str, float]]] = [
        [("data: images", middle)],
        [(text, ROW * row) for row, text in enumerate(rows)],
        [("collect: one table per figure", middle)],
        [("figure: PDF, PNG, CSV", middle - ROW / 2), ("claims", middle + ROW / 2)],
    ]
    places = [[(column * (BOX + GAP), y + ROW) for _, y in boxes] for column, boxes in enumerate(columns)]
    parts = []
    for left, right in pairwise(places):
        for x, y in left:
            for to_x, to_y in right:
                a, b, half = y + HEIGHT / 2, to_y + HEIGHT / 2, (x + BOX + to_x) / 2
                parts.append(f'<path d="M{x + BOX} {a}C{half} {a} {half} {b} {to_x} {b}"/>')
    for boxes, corners in zip(columns, places, strict=True):
        for (text, _), (x, y) in zip(boxes, corners, strict=True):
            parts.append(f'<rect x="{x}" y="{y}" width="{BOX}" height="{HEIGHT}" rx="6"/>')
            parts.append(f'<text x="{x + 10}" y="{y + HEIGHT / 2 + 5}">{escape(text)}</text>')
    width, height = 4 * BOX + 3 * GAP + 2, ROW * (len(rows) + 1) + HEIGHT
    size = f'width="{width}" height="{height}" viewBox="-1 0 {width} {height}"'
    return Markup(f'<svg role="img" aria-label="From data to figures" {size}>{"".join(parts)}</svg>')
