"""Run incremental CIFAR-100.

    python run_cifar.py -c cfg/base_deep_learning_system.yml -s 0

The network learns five classes, then five more at a time, up to a hundred. The metrics are written below
results/incremental_cifar in the project. The images must exist; `python -m lop.data cifar-100` creates them. The run
may be interrupted at any time, by Ctrl-C, kill or a power failure: the same command resumes it, and the results are
bit-identical to those of an uninterrupted run.
"""

from contextlib import nullcontext
from copy import deepcopy
from math import nan
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lop.algos.callback import Callback
from lop.algos.cuda_graphs import GraphedStep
from lop.algos.eager import SGD
from lop.algos.res_gnt import ResGnT
from lop.algos.shrink_and_perturb import perturb
from lop.incremental_cifar import PROBLEM
from lop.incremental_cifar.parameters import CIFAR_CLASSES, CifarParameters
from lop.incremental_cifar.problem import Increments, LabelledTensors, augmented, moved, seen, step_size
from lop.measures import activity, effective_rank, stable_rank, weight_magnitude
from lop.nets.any_network import create, last_linear
from lop.nets.torchvision_modified_resnet import ResNet, build_resnet18, kaiming_init_resnet_module
from lop.runs.protocol import Run

TRAINING, TESTING = 0, 1  # uses of the random numbers of an epoch
BATCH = 250  # images tested at a time
DORMANT = 0.01  # units active on a smaller fraction of images and pixels are dormant


def train(run: Run) -> None:
    """Learn all increments of a run and log the accuracy and the plasticity of each."""
    p: CifarParameters = run.parameters

    # Seeds: all methods see the same classes and images and start from the same weights
    increments = Increments(run.seed, run.images, p, run.device)
    torch.manual_seed(int(np.random.SeedSequence(run.seed).spawn(1)[0].generate_state(1)[0]))

    # Network and learner
    net = make_network(p).to(run.device).to(memory_format=torch.channels_last)
    learner = Learner(p, net)
    best = Best(net)
    run.track(net=net, optimizer=learner.optimizer, best=best)
    if learner.units:
        run.track(units=learner.units)
    for callback in learner.callbacks:
        run.track(callback=callback)
    moves = None
    if run.device.startswith("cuda"):
        learner.capture()
        moves = GraphedStep(moved)

    # Loop over epochs
    run.facts = lambda: f"test accuracy {best.latest:.1%}" if best.latest else "no epoch ended yet"
    parts = None
    for step in run.steps(p.increments * p.class_increase_frequency, unit="epochs"):
        increment, epoch = divmod(step, p.class_increase_frequency)
        classes = increments.classes(increment)
        if parts is None or epoch == 0:
            parts = increments.parts(classes)
        if epoch == 0:
            log_plasticity(run, net, increments, increment)
            if increment and p.reset_network:
                reset(net, p)
            elif increment and p.reset_head:
                last_linear(net).apply(kaiming_init_resnet_module)
            for callback in learner.callbacks:
                callback.new_task(increment)

        # Learn
        for group in learner.optimizer.param_groups:
            group["lr"] = step_size(p, epoch)
        rng = increments.rng(step, TRAINING)
        outputs = torch.as_tensor(classes, device=run.device)
        net.train()
        order = torch.from_numpy(rng.permutation(len(parts.train.labels))).to(run.device)
        for batch in order.split(p.mini_batch_size):
            images = parts.train.images[batch]
            x = augmented(images, rng, moves) if p.use_data_augmentation else seen(images)
            learner.learn(x, parts.train.labels[batch], outputs)

        # Test
        net.eval()
        turning = increments.rng(step, TESTING) if p.use_data_augmentation and p.augment_test else None
        right = right_answers(net, parts.test, outputs, p, turning)
        valid = right_answers(net, parts.validation, outputs, p, None)
        best.see(right.mean().item(), valid.mean().item(), net)
        if epoch + 1 == p.class_increase_frequency:
            if p.early_stopping:
                net.load_state_dict(best.parameters)
            log_accuracy(run, best, classes[parts.test.labels.cpu().numpy()], right.cpu().numpy())
            best.forget()


def make_network(p: CifarParameters) -> Any:
    """Build a residual network of 18 layers, or the network that the parameters select, with new initial weights."""
    if plugin := p.plugin("network"):
        return create(plugin, (3, 32, 32), CIFAR_CLASSES)
    net = build_resnet18(CIFAR_CLASSES, nn.BatchNorm2d, p.width, p.stem_stride)
    net.apply(kaiming_init_resnet_module)
    return net


@torch.no_grad()
def reset(net: nn.Module, p: CifarParameters) -> None:
    """Re-initialise a network in place; as published, the normalisation of a residual network keeps its statistics."""
    if p.network:
        net.load_state_dict(make_network(p).state_dict())
    else:
        net.apply(kaiming_init_resnet_module)


def make_units(p: CifarParameters, net: ResNet) -> ResGnT | None:
    """Build the replacement of units for continual backpropagation; None without `use_cbp`."""
    if not p.use_cbp:
        return None
    return ResGnT(
        net,
        "relu",
        replacement_rate=p.replacement_rate,
        util_type=p.utility_function,
        maturity_threshold=p.maturity_threshold,
    )


class Learner:
    """SGD with momentum or another optimizer, optionally with continual backpropagation.

    Args:
        p: parameters of the run.
        net: network to train.
    """

    def __init__(self, p: CifarParameters, net: Any):
        self.p, self.net = p, net
        callback, optimizer = p.plugin("callback"), p.plugin("optimizer")
        if optimizer:
            self.optimizer = optimizer.create(torch.optim.Optimizer, net.parameters())
        else:
            self.optimizer = SGD(net.parameters(), p.stepsize, momentum=p.momentum, weight_decay=p.weight_decay)
        self.units = make_units(p, net)
        self.callbacks: list[Callback] = [callback.create(Callback, net)] if callback else []
        for one in self.callbacks:
            one.optimizer = self.optimizer
        self._graphed: GraphedStep | None = None

    def capture(self) -> None:
        """Use CUDA graphs for further steps, unless there is a plugin; requires a CUDA device."""
        if not self.p.has_plugin:
            self._graphed = GraphedStep(self._descend, self.optimizer)

    def learn(self, x: Tensor, y: Tensor, outputs: Tensor) -> None:
        """Train on a minibatch.

        Args:
            x: standardised images (n, 3, 32, 32).
            y: labels (n,), positions in `outputs`.
            outputs: classes so far, whose logits enter the loss.
        """
        features = (self._graphed or self._descend)(x, y, outputs)
        if self.units:
            self.units.gen_and_test(features, self._graphed is not None)
        if self.p.noise_std:
            perturb(self.net.parameters(), self.p.noise_std)
        for callback in self.callbacks:
            callback.after_step(features)

    def _descend(self, x: Tensor, y: Tensor, outputs: Tensor) -> list[Tensor]:
        features: list[Tensor] = []
        with autocast(self.p, x.device.type):
            output = self.net(x, features if self.units or self.callbacks else None)
        loss = F.cross_entropy(output.float()[:, outputs], y)
        self.optimizer.zero_grad()
        loss.backward()
        for callback in self.callbacks:
            callback.before_step()
        self.optimizer.step()
        features = [h.detach() for h in features]
        if self._graphed and self.units:
            self.units.observe(features)
        return features


def log_accuracy(run: Run, best: "Best", labels: np.ndarray, right: np.ndarray) -> None:
    """Log an increment's accuracies: of its best epoch, and of its last epoch in total and for each class.

    Args:
        run: run to log to.
        best: best accuracies of the increment.
        labels: class numbers of the test images, (n,).
        right: 1 for each correctly classified test image of the last epoch, else 0, (n,).
    """
    numbers = np.unique(labels)
    run.log("test_accuracy", len(numbers), best.test)
    run.log("validation_accuracy", len(numbers), best.validation)
    run.log("last_test_accuracy", len(numbers), right.mean().item())
    for number in numbers.tolist():
        run.log(f"class_accuracy_{number}", len(numbers), right[labels == number].mean().item())


@torch.no_grad()
def log_plasticity(run: Run, net: ResNet, increments: Increments, increment: int) -> None:
    """Log weight magnitude, and dormant units and ranks on new and earlier classes, before an increment.

    Args:
        run: run to log to.
        net: network before the increment.
        increments: increments of the run.
        increment: number of the increment, from 0.
    """
    p: CifarParameters = run.parameters
    known = (increment + 1) * p.class_increase
    weights = [module.weight for module in net.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    run.log("weight_magnitude", known, weight_magnitude(weights))
    old = increments.classes(increment)[: -p.class_increase]
    measured = deepcopy(net).train(p.measure_training_mode)  # training mode would change the statistics of `net`
    for name, classes in {"next": increments.new_classes(increment), "previous": old}.items():
        if not len(classes):
            continue
        images = increments.parts(classes).train.images
        rng = np.random.default_rng([run.seed, increment])
        chosen = torch.from_numpy(rng.permutation(len(images))[: p.measured_images]).to(run.device)
        dormant, last = hidden(measured, seen(images[chosen]))
        run.log(f"dormant_units_{name}", known, dormant)
        run.log(f"stable_rank_{name}", known, stable_rank(last))
        run.log(f"effective_rank_{name}", known, effective_rank(last))


def hidden(net: ResNet, x: Tensor) -> tuple[float, Tensor]:
    """Return the fraction of dormant units of all hidden layers on images x, and the last layer's activations.

    As published, a unit is dormant if it is active in less than 1% of positions and images (in reinforcement learning:
    at most 1%).

    Args:
        net: network to measure, in its current mode.
        x: images (n, 3, 32, 32).

    Returns:
        The fraction, NaN if activations are not all finite, and activations (n, channels).
    """
    _, features = net.predict(x)
    active = np.concatenate([activity(h) for h in features])  # (units,)
    return float((active < DORMANT).mean()) if np.isfinite(active).all() else nan, features[-1]


@torch.no_grad()
def right_answers(
    net: ResNet, images: LabelledTensors, outputs: Tensor, p: CifarParameters, rng: np.random.Generator | None
) -> Tensor:
    """Classify images among the classes in `outputs`.

    Args:
        net: network.
        images: images, with labels that are positions in `outputs`.
        outputs: classes so far.
        p: parameters of the run.
        rng: generator for augmentation; None for no augmentation.

    Returns:
        1 for each correctly classified image, else 0, float32 (n,).
    """
    right = []
    for some, labels in zip(images.images.split(BATCH), images.labels.split(BATCH), strict=True):
        x = seen(some) if rng is None else augmented(some, rng)
        with autocast(p, x.device.type):
            output = net(x)
        right.append((output[:, outputs].argmax(1) == labels).float())
    return torch.cat(right)


def autocast(p: CifarParameters, device: str) -> Any:
    """Return a context with the precision of the parameters on a type of device."""
    return torch.autocast(device, torch.bfloat16) if p.precision == "bfloat16" else nullcontext()


class Best:
    """Parameters of the epoch with the best validation accuracy in an increment, and its best test accuracy."""

    def __init__(self, net: nn.Module):
        self.parameters = _copy(net)
        self.latest = 0.0
        self.forget()

    def forget(self) -> None:
        """Start a new increment."""
        self.test, self.validation = 0.0, -1.0  # lower than any accuracy

    def see(self, test: float, validation: float, net: nn.Module) -> None:
        """Update with the accuracies and the network of an epoch."""
        self.latest, self.test = test, max(test, self.test)
        if validation > self.validation:
            self.validation, self.parameters = validation, _copy(net)

    def state_dict(self) -> dict[str, Any]:
        """Return accuracies and parameters for a checkpoint."""
        return dict(vars(self))

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state of a checkpoint."""
        vars(self).update(state)


def _copy(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


if __name__ == "__main__":
    from lop.runs.command_line import main

    main(PROBLEM, __doc__, train)
