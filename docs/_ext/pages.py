"""Sphinx extension for the pages: gallery, diagrams, links to modules, and names of undocumented objects."""

import posixpath
import re
from pathlib import Path
from pkgutil import resolve_name

from docutils import nodes
from docutils.parsers.rst import Directive
from gallery import gallery
from mmdr import render
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
GALLERY = "docs/gallery"


class Mermaid(Directive):
    """Diagram as inline SVG, which needs neither JavaScript nor a network."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Render the diagram."""
        diagram = render("\n".join(self.content))
        return [nodes.raw("", f'<div class="diagram">{diagram.svg()}</div>', format="html")]


def prepare(app: Sphinx, page: str, source: list[str]) -> None:
    """Append the gallery to its page; link documented modules to the reference, and no folders."""
    if page == GALLERY:
        source[0] += "\n" + gallery(ROOT)

    def link(match: re.Match[str]) -> str:
        text, target = match.groups()
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), target))
        module = re.sub(r"/", ".", path.removesuffix(".py").removesuffix("/__init__"))
        if path.endswith(".py") and f"docs/api/{module}" in app.env.found_docs:
            return f"[{text}](project:/docs/api/{module}.rst)"
        return f"`{path}`" if (ROOT / path).is_dir() else match[0]

    source[0] = re.sub(r"\[([^\]]+)\]\(([\w./-]+)\)", link, source[0])


def undocumented(app: Sphinx, env: object, node: nodes.Element, text: nodes.Node) -> nodes.Node | None:
    """Return the plain text of a reference to an object of lop that exists, but is not part of the reference."""
    try:
        resolve_name(node.get("reftarget", ""))
    except (ImportError, AttributeError, ValueError):
        return None
    return text


def without_field_numbers(app: Sphinx, what: str, name: str, *rest: list[str]) -> None:
    """Drop the docstrings that Python gives the fields of named tuples."""
    lines = rest[-1]
    if lines and lines[0].startswith("Alias for field number"):
        lines.clear()


def setup(app: Sphinx) -> dict:
    """Register the extension."""
    app.add_directive("mermaid", Mermaid)
    app.connect("source-read", prepare)
    app.connect("env-get-outdated", lambda *_: [GALLERY])
    app.connect("missing-reference", undocumented)
    app.connect("autodoc-process-docstring", without_field_numbers)
    return {"parallel_read_safe": True}
