"""Scales of experiments: config/scales/<scale>.yaml overrides cfg files (and figures, see `lop.figures`)."""

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from lop.common.errors import InputError
from lop.common.paths import CONFIG, shown
from lop.runs.parameters import checked, read_mapping


class Scale(BaseModel):
    """Contents of a scale file."""

    model_config = ConfigDict(extra="forbid")

    runs: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="<problem>/<config>, with the wildcards * and ? -> keys that override the cfg file; later matches "
        "override earlier ones",
    )
    figures: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="figure -> keys that override config/figures.yaml"
    )

    def overrides(self, problem: str, config: str) -> dict[str, Any]:
        """Return the keys that this scale overrides for a config."""
        merged: dict[str, Any] = {}
        for pattern, values in self.runs.items():
            if fnmatchcase(f"{problem}/{config}", pattern):
                merged |= values
        return merged


def scale_path(name: str) -> Path:
    """Return the file of a scale."""
    return CONFIG / "scales" / f"{name}.yaml"


def load_scale(name: str) -> Scale:
    """Return the scale with a given name.

    Raises:
        InputError: there is no such scale; the message lists the existing ones.
    """
    path = scale_path(name)
    if not path.is_file():
        known = sorted(other.stem for other in path.parent.glob("*.yaml"))
        raise InputError(f"scale: found {name!r}, allowed: {', '.join(known)} (files in {shown(path.parent)})")
    return checked(Scale, read_mapping(path), shown(path))
