"""Markdown of the gallery, from the published results and the pictures of the documentation.

A figure has a section at each scale at which it is published or has a picture. A panel with a picture of its own has a
section below that of the figure; the claims about other panels are listed with the figure.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import yaml

from lop.claims.table import HEAD, cells

SCALES = ("paper", "day", "laptop", "smoke")
COLUMNS = ("claim", "paper", "ours", "difference", "seeds")


def gallery(root: Path) -> str:
    """Return the sections of all figures, scale by scale, with paths relative to docs/.

    Args:
        root: folder of the project, with config/figures.yaml, published/ and docs/.
    """
    figures = yaml.safe_load((root / "config/figures.yaml").read_text("utf-8"))["figures"]
    found = {folder.name for folder in (root / "published").iterdir() if folder.is_dir()} - {"runs"}
    found |= {path.stem.rpartition("_")[2] for path in (root / "docs").glob("*_*.png")} & set(SCALES)
    order = sorted(found, key=lambda scale: (SCALES.index(scale) if scale in SCALES else len(SCALES), scale))
    return "\n\n".join(block for scale in order for block in _at_scale(root, scale, figures))


def _at_scale(root: Path, scale: str, figures: dict) -> Iterator[str]:
    folder = root / "published" / scale
    claims = _claims(folder / "claims.csv")
    index = json.loads((folder / "index.json").read_text()) if (folder / "index.json").is_file() else {}
    pictures = {name: path for name in figures if (path := _picture(root, scale, name))}
    panels = {name: [one for one in figures[name].get("panels", []) if isinstance(one, str)] for name in figures}
    within = {panel for name in pictures for panel in panels[name]}  # shown by a picture of another figure
    published = {name for name in figures if (folder / f"{name}.parquet").is_file()}
    yield f"## {scale.capitalize()} scale"
    for name in figures:
        if name in within or not (name in pictures or name in published):
            continue
        own = [panel for panel in panels[name] if panel in pictures]
        rest = [name, *(panel for panel in panels[name] if panel not in pictures)]
        for one, covered, level in ((name, rest, "###"), *((panel, [panel], "####") for panel in own)):
            yield f"{level} {title(one)}"
            if one in pictures:
                width = 720 if level == "###" else 360
                yield f'<img src="{pictures[one]}" alt="{title(one)} at {scale} scale" width="{width}px">'
            yield " ".join(figures[one]["caption"].split())
            yield _facts(folder, one, index.get(one, {}))
            yield f"    make figures/{one}.pdf" + ("" if scale == "laptop" else f" SCALE={scale}")
            if (about := claims[claims["figure"].isin(covered)]).size:
                yield _verdicts(about)


def _claims(path: Path) -> pd.DataFrame:
    """Read the verdicts of a scale, if there are any."""
    if not path.is_file():
        return pd.DataFrame({"figure": []})
    texts = ["scale", "images", "why"]
    return pd.read_csv(path, dtype=dict.fromkeys(texts, str)).fillna(dict.fromkeys(texts, ""))


def title(name: str) -> str:
    """Return `Figure 4` for fig4, `Extended Data figure 2b` for ed2b, and names of other forms as they are."""
    if not (parts := re.fullmatch(r"(fig|ed)(\d+[a-z]?)(\w*)", name)):
        return name
    kind, number, rest = parts.groups()
    words = f", {rest.strip('_').replace('_', ' ')}" if rest else ""
    return f"{'Figure' if kind == 'fig' else 'Extended Data figure'} {number}{words}"


def _picture(root: Path, scale: str, name: str) -> str:
    """Return the path of a picture relative to docs/, or an empty string."""
    if (root / "published" / scale / f"{name}.png").is_file():
        return f"../published/{scale}/{name}.png"
    return f"{name}_{scale}.png" if (root / "docs" / f"{name}_{scale}.png").is_file() else ""


def _facts(folder: Path, name: str, entry: dict) -> str:
    """Return the number of seeds, and how the runs were made if they are published."""
    facts, table = [], folder / f"{name}.parquet"
    if table.is_file():
        seeds = pd.read_parquet(table, columns=["curve", "seed"]).groupby("curve")["seed"].nunique()
        numbers = " to ".join(map(str, sorted({seeds.min(), seeds.max()})))
        facts.append(f"{numbers} {'seed' if numbers == '1' else 'seeds'} per curve")
    if "made_by" in entry:
        facts.append(entry["made_by"].partition(";")[0])
    facts.append("drawn from published runs" if entry.get("runs") else "drawn by training")
    return f"*{'; '.join(facts)}*"


def _verdicts(claims: pd.DataFrame) -> str:
    """Return a table of the claims with their verdicts."""
    lines = [[*COLUMNS, "verdict"], ["---"] * (len(COLUMNS) + 1)]
    for _, row in claims.iterrows():
        text = dict(zip(HEAD, cells(row), strict=False))
        verdict = ": ".join(filter(None, (f"**{row['verdict']}**", row["why"])))
        lines.append([*(text[column] for column in COLUMNS), verdict])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
