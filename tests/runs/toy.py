"""A minimal problem: a random walk that depends on torch's generator and on its own state."""

from pathlib import Path
from typing import ClassVar

import torch
from pydantic import Field

from lop.runs.parameters import Number, Parameters, Whole
from lop.runs.problem import Problem
from lop.runs.runner import Runner
from lop.runs.spec import Conditions, RunSpec


class ToyParameters(Parameters):
    horizon: ClassVar[str] = "n"
    cosmetic: ClassVar[frozenset[str]] = frozenset({"label"})
    named_by: ClassVar[tuple[str, ...]] = ("size",)

    n: Whole = Field(ge=1, description="steps")
    size: Number = Field(1.0, gt=0, description="size of a step")
    label: str = Field("", description="name for people")
    widths: list[Whole] = Field([1, 2], description="a list by nature")


class Walk:
    def __init__(self):
        self.position = torch.zeros(2)

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"].clone()


TOY = Problem("toy", "lop.plasticity", "toy:ToyParameters")


def spec(n=500, seed=0, inputs=(), device="cpu", **values) -> RunSpec:
    given = {"sizes": list(inputs)} if inputs else {}
    parameters = ToyParameters(n=n, **values)
    return RunSpec(TOY, "walk", "default", seed, "smoke", parameters, Conditions(device=device), given)


def walk(run: Runner, at_step=lambda step, run: None) -> None:
    """Train; also log before every hundredth step, as problems do before a task."""
    torch.manual_seed(run.seed)
    state = Walk()
    run.track(walk=state)
    for step in run.steps(run.spec.horizon):
        at_step(step, run)
        if step % 100 == 0:
            run.log("before", step, float(state.position[0]))
        state.position += run.spec.parameters.size * torch.randn(2)
        if (step + 1) % 7 == 0:
            run.log("distance", step + 1, float(state.position.norm()))
            run.log("coordinate", step + 1, float(state.position[0]), 0)


def toy_run(results: Path, n=500, checkpoint_every=60.0, device="cpu", **values) -> Runner:
    return Runner(spec(n, device=device, **values), results, checkpoint_every=checkpoint_every)
