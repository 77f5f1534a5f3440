"""Measure the time per example of online permuted MNIST: the compiled engine against the torch learner.

    python benchmarks/mnist.py [width ...]

Three hidden layers, backpropagation and continual backpropagation, one example at a time, one thread, built-in images.
Both learners alternate; ratios are those of the medians. The script restarts itself with malloc settings that keep
pages, because page faults would double the time of the torch learner. The generate-and-test of the torch learner uses
torch operations, as published, instead of the compiled loop that the library uses where possible.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable

MALLOC = {
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
}
THREADS = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}
if any(os.environ.get(name) != value for name, value in (MALLOC | THREADS).items()):
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | MALLOC | THREADS)

import numpy as np
import torch

from lop.algos.bp import Backprop
from lop.algos.cbp import ContinualBackprop
from lop.data.built_in import block
from lop.data.glyphs import MNIST
from lop.data.load import LabelledImages
from lop.engines.generator import seeded
from lop.engines.online.learner import OnlineLearner
from lop.nets.deep_ffnn import DeepFFNN
from lop.permuted_mnist.problem import Stream

CBP = {"decay_rate": 0.99, "maturity_threshold": 100, "util_type": "adaptable_contribution", "accumulate": True}
WANTED = {100: (18, 20), 2000: (5, 8), 10_000: (8, 20)}  # required speed-up over torch, without and with replacement
EXAMPLES = {100: (1000, 150), 2000: (100, 25), 10_000: (10, 3)}  # per round: compiled, torch
MOST_OVERHEAD = 1.15  # of continual backpropagation at width 2,000


def network(width: int) -> DeepFFNN:
    torch.manual_seed(0)
    return DeepFFNN(784, width, 10, num_hidden_layers=3)


def compiled(width: int, settings: dict, problem: Stream, n: int) -> Callable[[], int]:
    """Return a function with which the compiled engine learns from n examples; it returns n."""
    linear = [module for module in network(width).layers if isinstance(module, torch.nn.Linear)]
    layers = [(layer.weight.detach().numpy(), layer.bias.detach().numpy()) for layer in linear]
    learner = OnlineLearner(layers, seeded(0), 0.003, loss="nll", **settings)
    stream, _ = problem.examples(0, 1)
    order = np.random.default_rng(0)
    return lambda: len(learner.learn(stream, order.integers(0, len(stream.targets), n))[0])


def torchs(width: int, settings: dict, problem: Stream, n: int) -> Callable[[], int]:
    """Return a function with which a torch learner learns from n examples; it returns n."""
    make = ContinualBackprop if settings else Backprop
    learner = make(network(width), step_size=0.003, loss="nll", **settings)
    if isinstance(learner, ContinualBackprop):
        for statistics in learner.gnt.statistics:
            statistics._arrays = None
    x = torch.from_numpy(problem.inputs(0, n))
    y = torch.from_numpy(problem.labels[problem.task(0).order[:n]].astype(np.int64))

    def learn() -> int:
        for t in range(n):
            learner.learn(x[t : t + 1], y[t : t + 1])
        return n

    return learn


def memory_alone(width: int, problem: Stream, rounds: int = 5) -> float:
    """Return the microseconds that NumPy takes to read, and to read and write, the weights that an example needs.

    These are the rows of active units between hidden layers, in a newly initialised network.
    """
    _, hidden = network(width).predict(torch.from_numpy(problem.inputs(0, 20)))
    share = float(np.mean([(h != 0).float().mean() for h in hidden[:2]]))
    weights = np.ones((int(2 * share * width), width), np.float32)
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        weights.max()
        np.multiply(weights, np.float32(1), out=weights)
        times.append((time.perf_counter() - start) * 1e6)
    return statistics.median(times)


def main(widths: list[int], rounds: int = 9) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    images, labels = block(MNIST, 0, "train", 0)
    problem = Stream(np.random.SeedSequence(0), LabelledImages(images, labels), 1000)
    fine = True
    for width in widths:
        cases = {"backprop": {}, "continual backprop": CBP | {"replacement_rate": 1e-5 if width < 1000 else 1e-6}}
        fast = {name: compiled(width, settings, problem, EXAMPLES[width][0]) for name, settings in cases.items()}
        slow = {name: torchs(width, settings, problem, EXAMPLES[width][1]) for name, settings in cases.items()}
        learners = [learn for table in (fast, slow) for learn in table.values()]
        times: list[list[float]] = [[] for _ in learners]
        for round_ in range(rounds + 2):
            for learn, record in zip(learners, times, strict=True):
                start = time.perf_counter()
                n = learn()
                if round_ >= 2:  # the first rounds compile and fill caches
                    record.append((time.perf_counter() - start) / n * 1e6)
        medians = [statistics.median(record) for record in times]
        for name, quick, torch_time, wanted in zip(cases, medians[:2], medians[2:], WANTED[width], strict=True):
            fine &= torch_time / quick >= wanted
            print(
                f"3 x {width:6,} {name:18} torch {torch_time:11,.1f} us, compiled {quick:9,.1f} us, "
                f"{torch_time / quick:5.1f} times as fast (at least {wanted})",
                flush=True,
            )
        overhead = statistics.median(cbp / bp for bp, cbp in zip(*times[:2], strict=True))
        limit = f" (at most {MOST_OVERHEAD})" if width == 2000 else ""
        fine &= width != 2000 or overhead <= MOST_OVERHEAD
        print(
            f"3 x {width:6,} continual backpropagation takes {overhead:.2f} times as long as backpropagation{limit}",
            flush=True,
        )
        alone = memory_alone(width, problem)
        print(f"3 x {width:6,} memory access to the weights alone takes {alone:,.1f} us", flush=True)
    sys.exit(not fine)


if __name__ == "__main__":
    main([int(width) for width in sys.argv[1:]] or list(WANTED))
