"""Measure the time per example of slowly-changing regression: the compiled engine against torch learners.

    python benchmarks/regression.py

20 inputs, 5 hidden units, one output, one thread. Both learners alternate in blocks, because the speed of shared
machines drifts. Ratios are those of the medians. Times of the compiled engine include generating the examples; those of
torch do not.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np
import torch

from lop.algos.bp import Backprop
from lop.algos.cbp import ContinualBackprop
from lop.engines.generator import seeded
from lop.engines.online.learner import OnlineLearner
from lop.nets.ffnn import FFNN
from lop.slowly_changing_regression.problem import Stream

CBP = {"replacement_rate": 1e-4, "decay_rate": 0.99, "maturity_threshold": 10, "util_type": "adaptable_contribution"}
CASES = [  # name, activation, optimizer, settings, required speed-up over torch
    ("backprop", "relu", "sgd", {}, 1000),
    ("backprop", "tanh", "sgd", {}, 300),
    ("backprop", "sigmoid", "sgd", {}, 300),
    ("backprop", "elu", "sgd", {}, 300),
    ("backprop", "swish", "sgd", {}, 300),
    ("backprop", "relu", "adam", {}, 250),
    ("continual backprop", "relu", "sgd", CBP, 1200),
]


def compiled(activation: str, opt: str, settings: dict) -> Callable[[], int]:
    """Return a function with which the compiled engine learns from 100,000 examples; it returns their number."""
    torch.manual_seed(0)
    net = FFNN(20, 5, hidden_activation=activation)
    layers = [(net.layers[i].weight.detach().numpy(), net.layers[i].bias.detach().numpy()) for i in (0, 2)]
    learner = OnlineLearner(layers, seeded(0), 0.003, activation, opt=opt, **settings)
    stream = Stream(np.random.SeedSequence(0), 20, 10_000, 15, True, 100, 0.7)
    return lambda: sum(len(learner.learn(*stream.stretch())[0]) for _ in range(10))


def torchs(activation: str, opt: str, settings: dict) -> Callable[[], int]:
    """Return a function with which a torch learner learns from 300 examples; it returns their number."""
    torch.manual_seed(0)
    make = ContinualBackprop if settings else Backprop
    learner = make(FFNN(20, 5, hidden_activation=activation), step_size=0.003, opt=opt, **settings)
    x, y = torch.randint(0, 2, (300, 1, 20)).float(), torch.randn(300, 1, 1)

    def learn() -> int:
        for example, target in zip(x, y, strict=True):
            learner.learn(example, target)
        return len(x)

    return learn


def main(rounds: int = 12) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    fine = True
    for name, activation, opt, settings, wanted in CASES:
        learners, times = (torchs(activation, opt, settings), compiled(activation, opt, settings)), ([], [])
        for round_ in range(rounds + 2):
            for learn, record in zip(learners, times, strict=True):
                start = time.perf_counter()
                n = learn()
                if round_ >= 2:  # the first rounds compile and fill caches
                    record.append((time.perf_counter() - start) / n)
        slow, fast = (statistics.median(record) for record in times)
        fine &= slow / fast >= wanted
        print(
            f"{name:18} {activation:8} {opt:5} torch {slow * 1e6:6.1f} us, compiled {fast * 1e9:6.1f} ns, "
            f"{slow / fast:5.0f} times as fast (at least {wanted})"
        )
    sys.exit(not fine)


if __name__ == "__main__":
    main()
