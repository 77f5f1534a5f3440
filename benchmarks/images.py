"""Measure a step of Continual ImageNet against a plain training loop: 100 images, SGD with momentum, one thread.

    python benchmarks/images.py

- plain: pooling after the ReLU as published, PyTorch's default memory layout, autograd, `torch.optim.SGD`
- float32, bfloat16: the step of a run with this `precision`
- cbp: like float32, with continual backpropagation

All variants alternate in blocks of steps, because the speed of shared machines drifts. Ratios are those of the medians.
"""

import os

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

import statistics
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F

from lop.data.load import LabelledImages
from lop.imagenet.parameters import ImagenetParameters
from lop.imagenet.run_imagenet import make_learner, make_network, on_device
from lop.nets.conv_net import ConvNet

BATCH, BLOCK, ROUNDS = 100, 4, 25
FLOORS = {"float32": 1.6, "bfloat16": 2.2}  # speed relative to plain; below is a regression
CEILING = 1.05  # time of cbp relative to float32
CBP = {"agent": "cbp", "util_type": "adaptable_contribution", "replacement_rate": 3e-4}


def images() -> LabelledImages:
    rng = np.random.default_rng(0)
    return LabelledImages(rng.uniform(-0.5, 0.5, (1200, 3, 32, 32)).astype(np.float32), rng.integers(0, 2, 1200))


def plain() -> Callable[[torch.Tensor], object]:
    torch.manual_seed(0)
    net, (x, y) = ConvNet(), map(torch.from_numpy, images())
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)

    def step(batch: torch.Tensor) -> torch.Tensor:
        h = x[batch]
        for convolution in (net.conv1, net.conv2, net.conv3):
            h = F.max_pool2d(F.relu(convolution(h)), 2)
        h = h.flatten(1)
        for linear in (net.fc1, net.fc2):
            h = F.relu(linear(h))
        loss = F.cross_entropy(net.fc3(h), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def ours(**keys: object) -> Callable[[torch.Tensor], object]:
    torch.manual_seed(0)
    p = ImagenetParameters(num_tasks=1, step_size=0.01, momentum=0.9, **keys)
    net = make_network(p).to(memory_format=torch.channels_last)
    learner, (x, y) = make_learner(p, net), on_device(images(), p, "cpu")
    return lambda batch: learner.learn(x[batch], y[batch])


def main() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    steps = {"plain": plain(), "float32": ours(), "bfloat16": ours(precision="bfloat16"), "cbp": ours(**CBP)}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(ROUNDS + 3):
        batches = torch.randperm(1200).split(BATCH)[:BLOCK]
        for name, step in steps.items():
            start = time.perf_counter()
            for batch in batches:
                step(batch)
            if round_ >= 3:  # the first rounds compile and fill caches
                times[name].append((time.perf_counter() - start) / BLOCK * 1e3)
    median = {name: statistics.median(record) for name, record in times.items()}
    print(f"plain     {median['plain']:6.1f} ms")
    for name, floor in FLOORS.items():
        print(f"{name:9} {median[name]:6.1f} ms, {median['plain'] / median[name]:.2f} times as fast (floor {floor})")
    print(f"cbp       {median['cbp']:6.1f} ms, {median['cbp'] / median['float32']:.3f} of float32 (ceiling {CEILING})")
    fine = [median["plain"] >= floor * median[name] for name, floor in FLOORS.items()]
    sys.exit(not (all(fine) and median["cbp"] <= CEILING * median["float32"]))


if __name__ == "__main__":
    main()
