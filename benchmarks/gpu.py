"""Measure an update of the image problems on a GPU, launched kernel by kernel and replayed as a CUDA graph.

    python benchmarks/gpu.py

- imagenet: the convolutional network, 100 images; cifar: ResNet-18, 90 images, including augmentation
- bp, cbp: backpropagation and continual backpropagation, with the settings of the paper
- float32, bfloat16: the `precision` of a run

Both variants alternate, because the speed of shared machines drifts. Ratios are medians over rounds.
"""

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lop.algos.cuda_graphs import GraphedStep
from lop.imagenet.parameters import ImagenetParameters
from lop.imagenet.run_imagenet import layout, make_learner
from lop.imagenet.run_imagenet import make_network as make_conv_net
from lop.incremental_cifar.parameters import CIFAR_CLASSES, CifarParameters
from lop.incremental_cifar.problem import augmented, moved
from lop.incremental_cifar.run_cifar import Learner, make_network

ROUNDS = 11
FLOORS = {"imagenet": 2.0, "cifar": 1.5}  # speed relative to kernel by kernel; below is a regression
CBP: dict[str, dict[str, Any]] = {
    "imagenet": {"agent": "cbp", "replacement_rate": 3e-4},
    "cifar": {
        "use_cbp": True,
        "replacement_rate": 1e-5,
        "utility_function": "contribution",
        "maturity_threshold": 1000,
    },
}


def imagenet(graphed: bool, **keys: Any) -> Callable[[], object]:
    p = ImagenetParameters(num_tasks=1, step_size=0.01, momentum=0.9, **keys)
    learner = make_learner(p, make_conv_net(p).to("cuda", memory_format=layout("cuda")))
    if graphed:
        learner.capture()
    x = torch.randn(1200, 3, 32, 32, device="cuda").contiguous(memory_format=layout("cuda"))
    y = torch.randint(0, 2, (1200,), device="cuda")

    def step(batch: Tensor) -> None:
        learner.learn(x[batch], y[batch])

    return lambda: [step(batch) for batch in torch.randperm(1200, device="cuda").split(100)]


def cifar(graphed: bool, **keys: Any) -> Callable[[], object]:
    p = CifarParameters(stepsize=0.1, momentum=0.9, weight_decay=0.0005, **keys)
    learner = Learner(p, make_network(p).to("cuda").to(memory_format=torch.channels_last))
    moves = None
    if graphed:
        learner.capture()
        moves = GraphedStep(moved)
    rng, outputs = np.random.default_rng(0), torch.arange(CIFAR_CLASSES, device="cuda")
    images = torch.randint(0, 256, (450, 3, 32, 32), dtype=torch.uint8, device="cuda")
    labels = torch.randint(0, CIFAR_CLASSES, (450,), device="cuda")

    def step(batch: Tensor) -> None:
        learner.learn(augmented(images[batch], rng, moves), labels[batch], outputs)

    return lambda: [step(batch) for batch in torch.randperm(450, device="cuda").split(90)]


PROBLEMS = {"imagenet": imagenet, "cifar": cifar}
UPDATES = {"imagenet": 12, "cifar": 5}  # updates per call


def main() -> None:
    if not torch.cuda.is_available():
        sys.exit("no CUDA device found")
    torch.backends.cudnn.deterministic = True  # as in runs
    print(torch.cuda.get_device_name())
    fine = []
    for name, problem in PROBLEMS.items():
        for method, keys in {"bp": {}, "cbp": CBP[name]}.items():
            for precision in ("float32", "bfloat16"):
                steps = [problem(graphed, precision=precision, **keys) for graphed in (False, True)]
                launched, replayed = zip(*(taken(steps) for _ in range(ROUNDS)), strict=True)
                fast = statistics.median(a / b for a, b in zip(launched, replayed, strict=True))
                each = [1e3 * statistics.median(times) / UPDATES[name] for times in (launched, replayed)]
                print(
                    f"{name:9} {method:4} {precision:9} {each[0]:6.2f} ms, replayed {each[1]:6.2f} ms: "
                    f"{fast:.2f} times as fast (floor {FLOORS[name]})",
                    flush=True,
                )
                fine.append(fast >= FLOORS[name])
    sys.exit(not all(fine))


def taken(steps: list[Callable[[], object]]) -> list[float]:
    """Return the seconds of one call of each step, after one warm-up call."""
    seconds = []
    for step in steps:
        step()
        torch.cuda.synchronize()
        start = time.perf_counter()
        step()
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    main()
