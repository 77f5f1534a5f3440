"""The smallest problem there is: a random walk whose course depends on torch's generator and on its own state."""

from pathlib import Path
from typing import ClassVar

import torch
from pydantic import Field

from lop.data.sets import Images
from lop.runs.parameters import Number, Parameters, Whole
from lop.runs.runner import Run
from lop.runs.spec import Problem, RunSpec


class ToyParameters(Parameters):
    horizon: ClassVar[str] = "n"
    cosmetic: ClassVar[frozenset[str]] = frozenset({"label"})

    n: Whole = Field(ge=1, description="steps")
    size: Number = Field(1.0, gt=0, description="of a step")
    label: str = Field("", description="for people")
    widths: list[Whole] = Field([1, 2], description="a list by nature")


class Walk:
    def __init__(self):
        self.position = torch.zeros(2)

    def state_dict(self):
        return {"position": self.position}

    def load_state_dict(self, state):
        self.position = state["position"].clone()


TOY = Problem("toy", "lop.plasticity", "toy:ToyParameters")


def spec(n=500, seed=0, taken=(), **values) -> RunSpec:
    given = {"sizes": list(taken)} if taken else {}
    return RunSpec(TOY, "walk", "default", seed, "smoke", ToyParameters(n=n, **values), Images(), given)


def walk(run: Run, at_step=lambda step, run: None) -> None:
    torch.manual_seed(run.seed)
    state = Walk()
    run.track(walk=state)
    for step in run.steps(run.spec.horizon):
        at_step(step, run)
        state.position += run.spec.parameters.size * torch.randn(2)
        if (step + 1) % 7 == 0:
            run.log("distance", step + 1, float(state.position.norm()))
            run.log("coordinate", step + 1, float(state.position[0]), 0)


def toy_run(results: Path, n=500, fresh=False, checkpoint_every=60.0, **values) -> Run:
    return Run(spec(n, **values), results, fresh=fresh, checkpoint_every=checkpoint_every)
