"""Comparison of runs by their origins.

An origin is a mapping of plain JSON values: problem, parameters without the run's length, seed, inputs of the seed,
images, kind of device, and {module: digest} of the scientific code. Equal origins give equal results.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple


class Differences(NamedTuple):
    """Differences between two origins."""

    facts: dict[str, tuple[Any, Any]]  # parameter, `seed`, `device`, ...: the two values
    modules: list[str]  # modules whose code differs

    def __bool__(self) -> bool:
        return bool(self.facts or self.modules)

    def __str__(self) -> str:
        """Return one phrase per difference: `lr was 0.1, is 0.2; code differs in lop.algos.gnt`."""
        phrases = [f"{name} was {there!r}, is {here!r}" for name, (there, here) in self.facts.items()]
        return "; ".join(phrases + ([f"code differs in {', '.join(self.modules)}"] if self.modules else []))


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> Differences:
    """Compare two origins; equal ones give a false value."""
    facts, own_facts = _facts(there), _facts(here)
    differing = {name: (facts.get(name), own_facts.get(name)) for name in _differing(facts, own_facts)}
    return Differences(differing, _differing(there.get("code", {}), here.get("code", {})))


def _facts(origin: Mapping[str, Any]) -> dict[str, Any]:
    """Return everything but the code, under user-facing names."""
    images = {f"data.{key}": value for key, value in (origin.get("images") or {}).items()}
    others = {key: value for key, value in origin.items() if key not in ("code", "parameters", "images", "inputs")}
    return {**origin.get("parameters", {}), **others, **images, **origin.get("inputs", {})}


def _differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    return sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))
