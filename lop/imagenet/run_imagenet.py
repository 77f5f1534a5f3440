"""One run of Continual ImageNet.

    python run_imagenet.py -c cfg/bp.yml --setting step_size=0.01 -s 0

learns one binary task after the other, and writes
its metrics to a file below results/imagenet in the project. The images have to be there:
`python -m lop.data imagenet` makes them. Interrupt it whenever you like, with Ctrl-C, kill or a power cut: the same
command goes on where it stopped, with the very numbers of an uninterrupted run.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from lop.algos.bp import Backprop
from lop.algos.callback import make as make_callback
from lop.algos.cbp import ContinualBackprop
from lop.algos.convCBP import ConvCBP
from lop.data.formats import CLASS_SHAPE
from lop.data.load import LabelledImages
from lop.imagenet import PROBLEM
from lop.imagenet.parameters import ImagenetParameters
from lop.imagenet.problem import Tasks
from lop.nets.bfloat16 import Bfloat16
from lop.nets.conv_net import ConvNet
from lop.nets.conv_net2 import ConvNet2
from lop.nets.linear import MyLinear
from lop.runs.protocol import Run


def train(run: Run) -> None:
    p: ImagenetParameters = run.parameters

    # Seeds: the tasks are the same for all callbacks, and so are the initial weights
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
    if learner.callback:
        run.track(callback=learner.callback)
    learner.capture()

    # Loop, from one epoch to the next
    run.facts = lambda: recent_accuracy(run)
    task = None
    for step in run.steps(p.num_tasks * p.num_showings, unit="epochs"):
        number, epoch = divmod(step, p.num_showings)
        if task is None or epoch == 0:
            task = tasks.task(number)
            (x, y), test = on_device(task.train, p, run.device), on_device(task.test, p, run.device)
        if epoch == 0 and p.new_heads:
            zero(net.layers[-1])

        right = torch.zeros((), dtype=torch.long, device=run.device)
        for batch in torch.from_numpy(tasks.order(step)).to(run.device).split(p.mini_batch_size):
            _, output = learner.learn(x[batch], y[batch])  # (batch, num_classes), of the weights before the step
            right += (output.argmax(1) == y[batch]).sum()

        if epoch + 1 == p.num_showings:
            run.log("train_accuracy", number + 1, right.item() / len(x))
            run.log("test_accuracy", number + 1, accuracy(learner.net, *test, p.mini_batch_size))


def make_network(p: ImagenetParameters) -> Any:
    """The network that the parameters ask for."""
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
    """The learner that the parameters ask for, for this network."""
    learns = Bfloat16(net) if p.precision == "bfloat16" else net
    common: dict[str, Any] = {
        "step_size": p.step_size,
        "loss": "nll",
        "opt": p.opt,
        "beta_2": p.beta_2,
        "momentum": p.momentum,
        "weight_decay": p.weight_decay,
        "callback": make_callback(p.callback, net, p.callback_settings) if p.callback else None,
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
    """Images (n, 3, 32, 32), as `layout` says, and labels (n,); a linear network's are (n, 3072)."""
    x, y = torch.from_numpy(images.images).to(device), torch.from_numpy(images.labels).to(device)
    return x.flatten(1) if p.agent == "linear" else x.contiguous(memory_format=layout(device)), y


def layout(device: str) -> torch.memory_format:
    """How images lie in memory: channels last on a processor, which computes twice as fast so; channels first on a GPU,
    whose deterministic gradient of three channels takes longer so than all else of a step."""
    return torch.contiguous_format if device.startswith("cuda") else torch.channels_last


@torch.no_grad()
def zero(layer: torch.nn.Linear) -> None:
    layer.weight.zero_()
    layer.bias.zero_()


@torch.no_grad()
def accuracy(net: Any, x: Tensor, y: Tensor, batch: int) -> float:
    """Share of images x that the network gives label y, `batch` at a time."""
    answers = torch.cat([net.predict(some)[0].argmax(1) for some in x.split(batch)])
    return (answers == y).sum().item() / len(x)


def recent_accuracy(run: Run) -> str:
    """Of the last ten tasks, for the progress line."""
    accuracies = run.recent("test_accuracy", 10)
    return f"test accuracy {np.mean(accuracies):.1%}" if accuracies else "no task ended yet"


if __name__ == "__main__":
    from lop.runs.command_line import main

    main(PROBLEM, __doc__, train)
