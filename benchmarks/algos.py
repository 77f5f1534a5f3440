"""Measure the cost of continual backpropagation: the time of a step with it relative to the same step without.

    python benchmarks/algos.py

- deep: 784-2000-2000-2000-10, one example per step, SGD (online permuted MNIST)
- convolutional: three convolutions, batches of 100, SGD with momentum (Continual ImageNet)
- ppo: one update of policy and value networks with two layers of 256, in 160 minibatches of 128 (Ant)

One thread. Both learners alternate in blocks of steps, because the speed of shared machines drifts. Ratios are those of
the medians.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

KEEP_PAGES = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
}
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
if "MALLOC_TOP_PAD_" not in os.environ:  # otherwise page faults double the time of the deep network and hide the cost
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | KEEP_PAGES)

import numpy as np
import torch

from lop.algos.bp import Backprop
from lop.algos.cbp import ContinualBackprop
from lop.algos.convCBP import ConvCBP
from lop.algos.rl.settings import NetworkSettings, PPOSettings, UnitReplacement
from lop.engines.ppo.agent import Agent
from lop.nets.conv_net import ConvNet
from lop.nets.deep_ffnn import DeepFFNN

CEILINGS = {"deep": 1.5, "convolutional": 1.05, "ppo": 1.10}  # above is a regression


def deep() -> tuple[Callable, Callable]:
    def steps(make: Callable) -> Callable:
        torch.manual_seed(0)
        learner = make(DeepFFNN(784, 2000, 10, num_hidden_layers=3), step_size=0.003, loss="nll", opt="sgd")
        x, y = torch.rand(1, 784), torch.tensor([3])
        return partial(learner.learn, x, y)

    settings = {"replacement_rate": 1e-6, "decay_rate": 0.99, "util_type": "contribution", "accumulate": True}
    return steps(Backprop), steps(partial(ContinualBackprop, **settings))


def convolutional() -> tuple[Callable, Callable]:
    def steps(make: Callable) -> Callable:
        torch.manual_seed(0)
        learner = make(ConvNet(), step_size=0.01, loss="nll", opt="sgd", momentum=0.9)
        x, y = torch.rand(100, 3, 32, 32), torch.randint(0, 2, (100,))
        return partial(learner.learn, x, y)

    settings = {"replacement_rate": 3e-4, "decay_rate": 0.99, "util_type": "contribution", "maturity_threshold": 100}
    return steps(Backprop), steps(partial(ConvCBP, **settings))


def ppo() -> tuple[Callable, Callable]:
    def updates(replacement: UnitReplacement | None) -> Callable:
        settings = PPOSettings(policy_replacement=replacement, value_replacement=replacement)
        agent = Agent(111, 8, NetworkSettings(), settings, seed=0, rng=np.random.default_rng(0))
        draws, buffer = np.random.default_rng(1), agent.buffer
        buffer.observations[:, :27] = draws.normal(size=(buffer.bs, 27))
        buffer.actions[:] = draws.normal(size=buffer.actions.shape)
        buffer.log_probabilities[:], buffer.rewards[:] = -10, draws.normal(size=buffer.bs)
        return agent.learn

    return updates(None), updates(UnitReplacement(maturity_threshold=1000))


def compare(name: str, make: Callable[[], tuple[Callable, Callable]], block: int, rounds: int = 15) -> bool:
    """Time both learners alternately and print the medians and their ratio; return whether it is within its ceiling."""
    learners = make()
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(rounds + 2):
        for step, record in zip(learners, times, strict=True):
            start = time.perf_counter()
            for _ in range(block):
                step()
            if round_ >= 2:  # the first rounds compile and fill caches
                record.append((time.perf_counter() - start) / block)
    without, with_ = (statistics.median(record) * 1e6 for record in times)
    ratio, ceiling = with_ / without, CEILINGS[name]
    print(f"{name:14} {without:9.0f} us without, {with_:9.0f} us with, ratio {ratio:.3f} (ceiling {ceiling})")
    return ratio <= ceiling


def main() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    fine = [compare("deep", deep, 20), compare("convolutional", convolutional, 4), compare("ppo", ppo, 1)]
    sys.exit(not all(fine))


if __name__ == "__main__":
    main()
