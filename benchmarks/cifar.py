"""Measure an update of incremental CIFAR-100 against a plain training loop: ResNet-18, 90 images, one thread.

    python benchmarks/cifar.py

- plain: images augmented one by one, contiguous memory, autograd, `torch.optim.SGD` with a loop over parameters
- float32, bfloat16: the update of a run with this `precision`, including augmentation
- cbp: like float32, with continual backpropagation
- augmentation: the augmentation of a batch alone

All variants alternate, because the speed of shared machines drifts. Ratios are medians over rounds.
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

from lop.incremental_cifar.parameters import CIFAR_CLASSES, CifarParameters
from lop.incremental_cifar.problem import augmented
from lop.incremental_cifar.run_cifar import Learner, make_network

BATCH, ROUNDS = 90, 11
FLOORS = {"float32": 1.0, "bfloat16": 1.5}  # speed relative to plain; below is a regression
CEILINGS = {"cbp": 1.05, "augmentation": 0.05}  # time relative to an update in float32
SGD = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0005}
IMAGES = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (BATCH, 3, 32, 32), np.uint8))
LABELS = torch.arange(BATCH)


def plain() -> Callable[[], object]:
    torch.manual_seed(0)
    net, rng = make_network(CifarParameters(stepsize=0.1)), np.random.default_rng(0)
    optimizer = torch.optim.SGD(net.parameters(), **SGD, foreach=False)

    def step() -> None:
        x = torch.cat([augmented(image[None], rng) for image in IMAGES]).contiguous()
        loss = F.cross_entropy(net(x), LABELS)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def ours(**keys: object) -> Callable[[], object]:
    torch.manual_seed(0)
    p = CifarParameters(stepsize=SGD["lr"], momentum=SGD["momentum"], weight_decay=SGD["weight_decay"], **keys)
    net, rng, outputs = make_network(p), np.random.default_rng(0), torch.arange(CIFAR_CLASSES)
    learner = Learner(p, net.to(memory_format=torch.channels_last))
    return lambda: learner.learn(augmented(IMAGES, rng), LABELS, outputs)


def ratio(above: list[float], below: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(above, below, strict=True))


def main() -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    rng = np.random.default_rng(0)
    steps = {
        "plain": plain(),
        "float32": ours(),
        "bfloat16": ours(precision="bfloat16"),
        "cbp": ours(use_cbp=True, replacement_rate=1e-5, utility_function="contribution", maturity_threshold=1000),
        "augmentation": lambda: augmented(IMAGES, rng),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for round_ in range(ROUNDS + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if round_:  # the first round fills caches
                times[name].append((time.perf_counter() - start) * 1e3)
    print(f"plain        {statistics.median(times['plain']):7.1f} ms")
    fine = []
    for name, floor in FLOORS.items():
        fast = ratio(times["plain"], times[name])
        print(f"{name:12} {statistics.median(times[name]):7.1f} ms, {fast:.2f} times as fast (floor {floor})")
        fine.append(fast >= floor)
    for name, ceiling in CEILINGS.items():
        share = ratio(times[name], times["float32"])
        print(f"{name:12} {statistics.median(times[name]):7.1f} ms, {share:.3f} of float32 (ceiling {ceiling})")
        fine.append(share <= ceiling)
    sys.exit(not all(fine))


if __name__ == "__main__":
    main()
