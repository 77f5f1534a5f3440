"""Run online permuted MNIST.

    python run_mnist.py -c cfg/bp/std_net.yml --setting step_size=0.003 -s 0

The network learns from one example at a time. The metrics are written below results/permuted_mnist in the project. The
images must exist; `python -m lop.data mnist` creates them. The run may be interrupted at any time, by Ctrl-C, kill or a
power failure: the same command resumes it, and the results are bit-identical to those of an uninterrupted run.
"""

import importlib
from typing import Any

import numpy as np

from lop.data import load
from lop.measures import dead_fraction, ranks, weight_magnitude
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

    # Problem, and learner of the engine that the parameters select
    stream = Stream(stream_seed, load.mnist(run.images).train, p.change_after)
    engine = importlib.import_module(p.engines[p.engine_on(run.device)])  # does not import the other engine
    learner = engine.make_learner(p, int(learner_seed.generate_state(1)[0]), run.device)
    answers = Answers()

    # Loop over chunks of examples
    run.track(learner=learner, answers=answers)
    run.facts = lambda: recent_accuracy(run)
    chunk = BIN // 10 if p.num_features >= WIDE or p.engine_on(run.device) == "reference" else BIN
    for step in run.steps(p.num_examples, unit="examples", stride=chunk):
        if step % p.change_after == 0:
            log_network(run, p, learner, stream.inputs(step, min(MEASURED, p.change_after)), step)
            for callback in learner.callbacks:
                callback.new_task(step // p.change_after)
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


def log_network(run: Run, p: MnistParameters, learner: Any, inputs: np.ndarray, step: int) -> None:
    """Log dead units and ranks, as fractions of each layer's units, and mean absolute weights before a task."""
    if "weight_magnitude" in p.to_log:
        weights = learner.weights()
        run.log("weight_magnitude", step, weight_magnitude(weights))
        for layer, of_layer in enumerate(weights):
            run.log("layer_weight_magnitude", step, weight_magnitude(of_layer), layer)
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
