"""Run Continual ImageNet.

    python run_imagenet.py -c cfg/bp.yml --setting step_size=0.01 -s 0

The network learns a sequence of binary classification tasks. The metrics are written below results/imagenet in the
project. The images must exist; `python -m lop.data imagenet` creates them. The run may be interrupted at any time, by
Ctrl-C, kill or a power failure: the same command resumes it, and the results are bit-identical to those of an
uninterrupted run.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lop.algos.bp import Backprop
from lop.algos.callback import Callback
from lop.algos.cbp import ContinualBackprop
from lop.algos.convCBP import ConvCBP
from lop.data.formats import CLASS_SHAPE
from lop.data.load import LabelledImages
from lop.imagenet import PROBLEM
from lop.imagenet.parameters import ImagenetParameters
from lop.imagenet.problem import Tasks
from lop.nets.any_network import create, last_linear
from lop.nets.bfloat16 import Bfloat16
from lop.nets.conv_net import ConvNet
from lop.nets.conv_net2 import ConvNet2
from lop.nets.linear import MyLinear
from lop.runs.protocol import Run


def train(run: Run) -> None:
    """Learn all tasks of a run and log the accuracies of each."""
    p: ImagenetParameters = run.parameters

    # Seeds: all methods see the same tasks and start from the same weights
    tasks = Tasks(
        run.seed,
        run.images,
        p.total_classes,
        p.num_classes,
        p.train_images_per_class,
        p.test_images_per_class,
    )
    torch.manual_seed(int(np.random.SeedSequence(run.seed).spawn(1)[0].generate_state(1)[0]))

    # Network and learner
    net = make_network(p).to(run.device, memory_format=layout(run.device))
    learner = make_learner(p, net)
    run.track(net=net, optimizer=learner.opt)
    if isinstance(learner, ContinualBackprop):
        run.track(gnt=learner.gnt)
    for callback in learner.callbacks:
        run.track(callback=callback)
    if not p.has_plugin:  # its code may depend on values that a graph would freeze
        learner.capture()

    # Loop over epochs
    run.facts = lambda: recent_accuracy(run)
    task = None
    for step in run.steps(p.num_tasks * p.num_showings, unit="epochs"):
        number, epoch = divmod(step, p.num_showings)
        if task is None or epoch == 0:
            task = tasks.task(number)
            (x, y), test = on_device(task.train, p, run.device), on_device(task.test, p, run.device)
        if epoch == 0:
            if p.new_heads:
                zero(last_linear(net))
            for callback in learner.callbacks:
                callback.new_task(number)

        right = torch.zeros((), dtype=torch.long, device=run.device)
        for batch in torch.from_numpy(tasks.order(step)).to(run.device).split(p.mini_batch_size):
            _, output = learner.learn(x[batch], y[batch])  # (batch, num_classes), with the weights before the step
            right += (output.argmax(1) == y[batch]).sum()

        if epoch + 1 == p.num_showings:
            run.log("train_accuracy", number + 1, right.item() / len(x))
            run.log("test_accuracy", number + 1, accuracy(learner.net, *test, p.mini_batch_size))


def make_network(p: ImagenetParameters) -> Any:
    """Build the network that the parameters select."""
    if plugin := p.plugin("network"):
        return create(plugin, CLASS_SHAPE[1:], p.num_classes)
    if p.agent == "linear":
        return MyLinear(int(np.prod(CLASS_SHAPE[1:])), p.num_classes)
    if p.net_type == 1:
        return ConvNet(p.num_classes, p.channels)
    return ConvNet2(
        p.num_classes,
        p.replacement_rate,
        maturity_threshold=p.maturity_threshold,
        util_type=p.util_type,
        decay_rate=p.decay_rate,
        channels=p.channels,
    )


def make_learner(p: ImagenetParameters, net: Any) -> Backprop:
    """Build the learner that the parameters select for a network."""
    learns = Bfloat16(net) if p.precision == "bfloat16" else net
    callback, optimizer = p.plugin("callback"), p.plugin("optimizer")
    common: dict[str, Any] = {
        "step_size": p.step_size,
        "loss": "nll",
        "opt": optimizer.create(torch.optim.Optimizer, net.parameters()) if optimizer else p.opt,
        "beta_2": p.beta_2,
        "momentum": p.momentum,
        "weight_decay": p.weight_decay,
        "callback": callback.create(Callback, net) if callback else None,
    }
    if p.agent != "cbp" or p.net_type == 2:
        perturbs = p.perturb_scale > 0
        return Backprop(learns, beta_1=p.beta_1, to_perturb=perturbs, perturb_scale=p.perturb_scale, **common)
    return ConvCBP(
        learns,
        beta=p.beta_1,
        replacement_rate=p.replacement_rate,
        decay_rate=p.decay_rate,
        init="default",
        util_type=p.util_type,
        maturity_threshold=p.maturity_threshold,
        move_mean_to_bias=p.move_mean_to_bias,
        clear_optimizer_state=p.clear_optimizer_state,
        **common,
    )


def on_device(images: LabelledImages, p: ImagenetParameters, device: str) -> tuple[Tensor, Tensor]:
    """Return images (n, 3, 32, 32), or (n, 3072) for linear networks, and labels (n,) on a device."""
    x, y = torch.from_numpy(images.images).to(device), torch.from_numpy(images.labels).to(device)
    return x.flatten(1) if p.agent == "linear" else x.contiguous(memory_format=layout(device)), y


def layout(device: str) -> torch.memory_format:
    """Return the memory format of images on a device.

    With channels last, a CPU is twice as fast. On a GPU, the deterministic gradient of the first convolution, with its
    three input channels, would then take longer than the rest of a step.
    """
    return torch.contiguous_format if device.startswith("cuda") else torch.channels_last


@torch.no_grad()
def zero(layer: torch.nn.Linear) -> None:
    """Set weights and biases of a layer to zero in place."""
    for parameter in layer.parameters():
        parameter.zero_()


@torch.no_grad()
def accuracy(net: Any, x: Tensor, y: Tensor, batch: int) -> float:
    """Return the fraction of images x that a network classifies as y, computed in minibatches of `batch` images."""
    answers = torch.cat([net.predict(some)[0].argmax(1) for some in x.split(batch)])
    return (answers == y).sum().item() / len(x)


def recent_accuracy(run: Run) -> str:
    """Return the mean test accuracy of the last ten tasks as text for the progress line."""
    accuracies = run.recent("test_accuracy", 10)
    return f"test accuracy {np.mean(accuracies):.1%}" if accuracies else "no task ended yet"


if __name__ == "__main__":
    from lop.runs.command_line import main

    main(PROBLEM, __doc__, train)
