"""Run slowly-changing regression.

    python run_regression.py -c cfg/flip_one/relu.yml --setting step_size=0.01 -s 0

The network learns from one example at a time. The metrics are written below results/slowly_changing_regression in the
project. `-s 0-9` runs ten seeds. The run may be interrupted at any time: the same command resumes it, and the results
are bit-identical to those of an uninterrupted run.
"""

import importlib
from typing import Any

import numpy as np

from lop.measures import weight_magnitude
from lop.runs.protocol import Run
from lop.slowly_changing_regression import PROBLEM
from lop.slowly_changing_regression.parameters import BIN, RegressionParameters
from lop.slowly_changing_regression.problem import Stream


def train(run: Run) -> None:
    """Learn all examples of a run and log the squared errors."""
    p: RegressionParameters = run.parameters

    # Seeds: one for the stream, shared by all methods, and one for the learner
    stream_seed, learner_seed = np.random.SeedSequence(run.seed).spawn(2)

    # Problem, and learner of the engine that the parameters select
    stream = Stream(
        stream_seed, p.num_inputs, p.flip_after, p.num_flipping_bits, p.flip_one, p.num_target_features, p.beta
    )
    engine = importlib.import_module(p.engines[p.engine_on(run.device)])  # does not import the other engine
    learner = engine.make_learner(p, int(learner_seed.generate_state(1)[0]), run.device)

    # Loop over stretches between two changes of the slow bits
    run.track(stream=stream, learner=learner)
    run.facts = lambda: recent_error(run)
    for step in run.steps(p.num_data_points, unit="examples", stride=p.flip_after):
        for callback in learner.callbacks:
            callback.new_task(step // p.flip_after)
        learner.log[...] = 0
        errors, _ = learner.learn(*stream.stretch())  # (flip_after,)
        for i, error in enumerate(errors.reshape(-1, BIN).mean(1, dtype=np.float64)):
            run.log("squared_error", step + (i + 1) * BIN, float(error))
        log_layers(run, p, learner, step + p.flip_after)


def log_layers(run: Run, p: RegressionParameters, learner: Any, step: int) -> None:
    """Log current weight magnitudes, and gradients and inactive units averaged over the last `flip_after` examples."""
    if "weight_magnitude" in p.to_log:
        for layer, weights in enumerate(learner.weights()):
            run.log("weight_magnitude", step, weight_magnitude(weights), layer)
    n_layers = learner.log.shape[1]
    for row, (metric, n) in enumerate((("gradient_magnitude", n_layers), ("inactive_units", n_layers - 1))):
        if metric in p.to_log:
            for layer in range(n):
                run.log(metric, step, float(learner.log[row, layer]) / p.flip_after, layer)


def recent_error(run: Run) -> str:
    """Return the mean squared error on the last 20,000 examples as text for the progress line."""
    errors = run.recent("squared_error", 20)
    return f"squared error {np.mean(errors):.3f}" if errors else ""


if __name__ == "__main__":
    from lop.runs.command_line import main

    main(PROBLEM, __doc__, train)
