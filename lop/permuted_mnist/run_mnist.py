"""Run online permuted MNIST.

    python run_mnist.py -c cfg/bp/std_net.yml --setting step_size=0.003 -s 0

The network learns from one example at a time. The metrics are written below results/permuted_mnist in the project. The
images must exist; `python -m lop.data mnist` creates them. The run may be interrupted at any time, by Ctrl-C, kill or a
power failure: the same command resumes it, and the results are bit-identical to those of an uninterrupted run.
"""

from itertools import pairwise

import numpy as np

from lop.data import load
from lop.engines import generator
from lop.engines.online.learner import Layer, OnlineLearner
from lop.engines.online.settings import learner_settings
from lop.measures import dead_fraction, ranks
from lop.nets.numerics import initial_gain
from lop.permuted_mnist import PROBLEM
from lop.permuted_mnist.parameters import BIN, MnistParameters
from lop.permuted_mnist.problem import Stream
from lop.runs.protocol import Run

MEASURED = 2000  # examples on which activations are measured before each task
WIDE = 5000  # units per layer from which a run uses shorter chunks, so that it can save and stop often enough


def train(run: Run) -> None:
    """Learn all examples of a run and log the online accuracy."""
    p: MnistParameters = run.parameters

    # Seeds: one for the stream, shared by all methods, and one for the learner
    stream_seed, learner_seed = np.random.SeedSequence(run.seed).spawn(2)
    rng = generator.seeded(int(learner_seed.generate_state(1)[0]))

    # Problem, network and learner
    stream = Stream(stream_seed, load.mnist(run.images).train, p.change_after)
    learner = OnlineLearner(
        initial_network(p, rng),
        rng,
        loss="nll",
        dropout=p.dropout,
        online_norm=(p.alpha_forward, p.alpha_backward) if p.online_norm else None,
        **learner_settings(p),
    )
    answers = Answers()

    # Loop over chunks of examples
    run.track(learner=learner, answers=answers)
    run.facts = lambda: recent_accuracy(run)
    chunk = BIN // 10 if p.num_features >= WIDE else BIN
    for step in run.steps(p.num_examples, unit="examples", stride=chunk):
        if step % p.change_after == 0:
            log_network(run, p, learner, stream.inputs(step, min(MEASURED, p.change_after)), step)
        examples, order = stream.examples(step, chunk)
        _, predicted = learner.learn(examples, order)  # (chunk,), each with the weights before its example
        answers.add(predicted == examples.targets[order])
        if answers.given == BIN:
            run.log("online_accuracy", step + chunk, answers.fraction())


class Answers:
    """Counter of the answers and the right answers since the last call of `fraction`."""

    def __init__(self) -> None:
        self.right = self.given = 0

    def add(self, right: np.ndarray) -> None:
        """Count answers, given whether each is right, bool (n,)."""
        self.right += int(right.sum())
        self.given += len(right)

    def fraction(self) -> float:
        """Return the fraction of right answers, and reset the counter."""
        fraction = self.right / self.given
        self.right = self.given = 0
        return fraction

    def state_dict(self) -> dict[str, int]:
        """Return the counts for a checkpoint."""
        return {"right": self.right, "given": self.given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Restore the counts of a checkpoint."""
        self.right, self.given = state["right"], state["given"]


def initial_network(p: MnistParameters, rng: np.ndarray) -> list[Layer]:
    """Return the initial weights and biases of `lop.nets.deep_ffnn.DeepFFNN`, or of `MyLinear`, layer by layer."""
    hidden = [] if p.agent == "linear" else [p.num_features] * p.num_hidden_layers
    network: list[Layer] = []
    factor = initial_gain("kaiming", p.hidden_activation)
    for layer, (inputs, outputs) in enumerate(pairwise([784, *hidden, 10])):
        generator.built_linear(rng, inputs, outputs)
        weights = generator.kaiming(rng, inputs, outputs, factor if layer < len(hidden) else 1.0)
        network.append((weights, np.zeros(outputs, np.float32)))
    return network


def log_network(run: Run, p: MnistParameters, learner: OnlineLearner, inputs: np.ndarray, step: int) -> None:
    """Log dead units and ranks, as fractions of each layer's units, and mean absolute weights before a task."""
    if "weight_magnitude" in p.to_log:
        magnitudes = learner.weight_magnitudes()
        sizes = [inputs * outputs for inputs, outputs in pairwise(learner.sizes)]
        run.log("weight_magnitude", step, float(np.average(magnitudes, weights=sizes)))
        for layer, magnitude in enumerate(magnitudes):
            run.log("layer_weight_magnitude", step, magnitude, layer)
    if not {"dead_units", "ranks"} & set(p.to_log):
        return
    for layer, h in enumerate(learner.hidden(inputs)):  # (MEASURED, units)
        if "dead_units" in p.to_log:
            run.log("dead_units", step, dead_fraction(h), layer)
        if "ranks" in p.to_log:
            for name, rank in ranks(h)._asdict().items():
                run.log(name, step, rank / h.shape[1], layer)


def recent_accuracy(run: Run) -> str:
    """Return the accuracy on the last 20,000 examples as text for the progress line."""
    fractions = run.recent("online_accuracy", 20)
    return f"accuracy {np.mean(fractions):.1%}" if fractions else ""


if __name__ == "__main__":
    from lop.runs.command_line import main

    main(PROBLEM, __doc__, train)
