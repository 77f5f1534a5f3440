"""Checkpoints: all of a run's state in one file that is checked before anything of it is used."""

import itertools
import zipfile
from pathlib import Path
from typing import Any

import torch

from lop.common.errors import InputError
from lop.common.files import atomic_file
from lop.common.paths import shown
from lop.runs.spec import RunSpec, fingerprint

NAME = "checkpoint.pt"


class OtherRun(InputError):
    """A checkpoint of other parameters, another seed or other code."""


def save(path: Path, spec: RunSpec, state: dict[str, Any]) -> None:
    """Write `state` in one move. It may hold tensors, numbers, strings, bytes, lists, tuples and dicts."""
    with atomic_file(path) as temporary:
        torch.save({"origin": spec.origin, "state": state}, temporary)


def load(path: Path, spec: RunSpec) -> dict[str, Any]:
    """The state in `path`; InputError if the file is damaged, OtherRun if it does not belong to `spec`."""
    content = _read(path)
    differences = _differences(content["origin"], spec.origin)
    if differences:
        raise OtherRun(
            f"{shown(path)}: checkpoint of another run: {'; '.join(differences)}; "
            "undo that, or set the checkpoint aside with --fresh"
        )
    return content["state"]


def other_key(path: Path, spec: RunSpec) -> str | None:
    """The fingerprint of the run that a checkpoint is of, if not of `spec`; InputError if the file is damaged."""
    origin = _read(path)["origin"]
    return fingerprint(origin) if _differences(origin, spec.origin) else None


def _read(path: Path) -> dict[str, Any]:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()  # torch.load does not compare checksums
        if damaged:
            raise ValueError(f"checksum of {damaged}")
        content = torch.load(path, map_location="cpu", weights_only=True)
        if set(content) != {"origin", "state"}:
            raise ValueError("not a checkpoint of lop")
        return content
    except Exception as error:  # whatever a damaged file makes the reader raise
        reason = " ".join(str(error).split())[:120]
        raise InputError(
            f"{shown(path)}: checkpoint truncated or damaged ({reason}); move it away and run again"
        ) from None


def _differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """What differs between two origins, a phrase each."""
    facts = {**there["parameters"], "problem": there["problem"], "seed": there["seed"]}
    own_facts = {**here["parameters"], "problem": here["problem"], "seed": here["seed"]}
    found = [f"{key} was {facts.get(key)!r}, is {own_facts.get(key)!r}" for key in _differing(facts, own_facts)]
    found += _differences_in_turn(there.get("taken", {}), here["taken"])
    changed = _differing(there["sources"], here["sources"])
    return found + ([f"code changed in {', '.join(changed)}"] if changed else [])


def _differences_in_turn(there: dict[str, list], here: dict[str, list]) -> list[str]:
    """Of what is taken in turn: the first numbers that differ; one run may have taken more than the other."""
    found = [f"{name} were {'' if name in there else 'not '}given" for name in sorted(there.keys() ^ here.keys())]
    for name in sorted(there.keys() & here.keys()):
        pairs = enumerate(zip(there[name], here[name], strict=False), 1)
        unlike = (f"number {n} of {name} was {was}, is {now}" for n, (was, now) in pairs if was != now)
        found += list(itertools.islice(unlike, 1))
    return found


def _differing(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    return sorted(key for key in a.keys() | b.keys() if a.get(key) != b.get(key))
