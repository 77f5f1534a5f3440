"""Measure the difficulty of the built-in images: test accuracy of a linear softmax model and of a network.

    python benchmarks/glyphs.py

- mnist: one epoch of 60,000 images, batches of 32; the network has three hidden layers of 100 units
- cifar-100: 100 classes, 5 epochs, batches of 100; the convolutional network of Continual ImageNet
- imagenet: 8 pairs of classes, 600 images per class, 20 epochs, batches of 100; the same network
"""

import sys
import time
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from lop.data.glyphs import CIFAR100, IMAGENET, MNIST, Look, images, stream


def network(classes: int) -> nn.Module:
    """Return the network of Continual ImageNet, for images of shape (3, 32, 32)."""
    return nn.Sequential(
        *(nn.Conv2d(3, 32, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 128, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(512, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, classes)),
    )


def perceptron(classes: int) -> nn.Module:
    """Return a network with three hidden layers of 100 units."""
    sizes = (784, 100, 100, 100)
    hidden = (part for shape in pairwise(sizes) for part in (nn.Linear(*shape), nn.ReLU()))
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(100, classes))


def linear(inputs: int, classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, classes))


def accuracy(model: nn.Module, train: tuple, test: tuple, epochs: int, batch: int, step_size: float) -> float:
    """Return the test accuracy after training with Adam and a linearly decaying step size."""
    x, y = train
    optimizer = torch.optim.Adam(model.parameters(), lr=step_size)
    steps = epochs * (len(x) // batch)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0.01, steps)
    for _ in range(epochs):
        for chosen in torch.randperm(len(x)).split(batch)[: len(x) // batch]:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[chosen]), y[chosen]).backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        return (torch.cat([model(part) for part in test[0].split(1000)]).argmax(1) == test[1]).double().mean().item()


def drawn(look: Look, labels: np.ndarray, block: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = images(look, labels, stream(look, 0, block))
    return torch.from_numpy(x).float() / 255 - (look.channels > 1) * 0.45, torch.from_numpy(labels)


def mnist() -> tuple[float, float]:
    train, test = (drawn(MNIST, np.arange(n) % 10, n) for n in (60_000, 10_000))
    return tuple(accuracy(model, train, test, 1, 32, 1e-3) for model in (linear(784, 10), perceptron(10)))


def cifar100() -> tuple[float, float]:
    train, test = (drawn(CIFAR100, np.arange(n) % 100, n) for n in (50_000, 10_000))
    return accuracy(linear(3072, 100), train, test, 5, 100, 1e-3), accuracy(network(100), train, test, 5, 100, 1e-3)


def imagenet(pairs: int = 8) -> tuple[float, float]:
    order = np.random.default_rng(0).permutation(1000)
    found = []
    for pair in order[: 2 * pairs].reshape(-1, 2):
        classes = [drawn(IMAGENET, np.full(700, label), label)[0] for label in pair]
        x = [torch.cat([images[part] for images in classes]) for part in (slice(600), slice(600, None))]
        (train, test) = ((part, torch.arange(2).repeat_interleave(len(part) // 2)) for part in x)
        found.append([accuracy(model, train, test, 20, 100, 1e-3) for model in (linear(3072, 2), network(2))])
    print(np.round(np.array(found).T, 2))
    return tuple(np.mean(found, axis=0))


if __name__ == "__main__":
    torch.set_num_threads(1)
    for measure in (mnist, cifar100, imagenet):
        if len(sys.argv) == 1 or measure.__name__ in sys.argv[1:]:
            torch.manual_seed(0)
            begin = time.perf_counter()
            shallow, deep = measure()
            print(f"{measure.__name__}: linear {shallow:.1%}, network {deep:.1%} ({time.perf_counter() - begin:.0f} s)")
