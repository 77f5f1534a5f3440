"""What continual backpropagation costs: the time of a step with it, over the time of the same step without.

    python benchmarks/algos.py

- deep: 784-2000-2000-2000-10, one example a step, SGD (online permuted MNIST)
- convolutional: three convolutions, batches of 100, SGD with momentum (Continual ImageNet)
- ppo: one minibatch of 128 for policy and value network, 256-256 each (Ant)

One thread. Both learners take turns in blocks of steps, because shared machines drift; the ratio is of the medians.
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
if "MALLOC_TOP_PAD_" not in os.environ:  # else page faults would double the time of the deep network, and hide ours
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | KEEP_PAGES)

import torch

from lop.algos.adam import LeanAdam
from lop.algos.bp import Backprop
from lop.algos.cbp import ContinualBackprop
from lop.algos.convCBP import ConvCBP
from lop.algos.rl.buffer import Buffer
from lop.algos.rl.ppo import PPO
from lop.nets.conv_net import ConvNet
from lop.nets.deep_ffnn import DeepFFNN
from lop.nets.policies import MLPPolicy
from lop.nets.valuefs import MLPVF

CEILINGS = {"deep": 1.5, "convolutional": 1.05, "ppo": 1.10}  # what we call a regression


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
    def steps(replaces: bool) -> Callable:
        torch.manual_seed(0)
        policy = MLPPolicy(111, 8, act_type="ReLU", h_dim=(256, 256), init="lecun")
        value = MLPVF(111, act_type="ReLU", h_dim=(256, 256), init="lecun")
        settings = {"replacement_rate": 1e-4, "mt": 1000, "pgnt": replaces, "vgnt": replaces}
        learner = PPO(policy, Buffer(111, 8, 2048), 1e-4, 0.99, value, 0.95, LeanAdam, n_slices=16, **settings)
        minibatch = torch.randn(128, 8), torch.randn(128, 1) - 10, torch.randn(128, 1), torch.randn(128, 1)
        return torch.no_grad()(partial(learner._step, *minibatch, torch.randn(128, 27)))

    return steps(False), steps(True)


def compare(name: str, make: Callable[[], tuple[Callable, Callable]], block: int, rounds: int = 15) -> bool:
    """Time both learners in turns, print medians and their ratio; whether it is under its ceiling."""
    learners = make()
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(rounds + 2):
        for step, record in zip(learners, times, strict=True):
            start = time.perf_counter()
            for _ in range(block):
                step()
            if round_ >= 2:  # the first ones compile and fill caches
                record.append((time.perf_counter() - start) / block)
    without, with_ = (statistics.median(record) * 1e6 for record in times)
    ratio, ceiling = with_ / without, CEILINGS[name]
    print(f"{name:14} {without:9.0f} us without, {with_:9.0f} us with, ratio {ratio:.3f} (ceiling {ceiling})")
    return ratio <= ceiling


def main() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    fine = [compare("deep", deep, 20), compare("convolutional", convolutional, 4), compare("ppo", ppo, 300)]
    sys.exit(not all(fine))


if __name__ == "__main__":
    main()
