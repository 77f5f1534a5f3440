"""Diagnose a checkpoint: its hidden layers, and how well it still learns compared with a fresh network.

    python -m lop.plasticity my_checkpoint.pt --model my_module:make --data my_module:batches --plot diagnosis.pdf

`make` returns a new torch.nn.Module, and `batches` an iterable of (inputs, targets). Copies of the network in the
checkpoint and fresh networks are trained on the same batches with the same settings.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from torch import nn

from lop.common.arguments import Parser, count, positive
from lop.common.errors import InputError, told_in_one_line
from lop.common.paths import shown
from lop.common.plugins import blamed, imported
from lop.plasticity.checkpoint import KEYS, load, read_state_dict
from lop.plasticity.diagnosis import OPTIMIZERS, SAMPLES, Diagnosis, Training, diagnose, read_batches, usual_loss

HEAD = (
    "layer",
    "units",
    "dead",
    "dormant",
    "rank",
    "effective rank",
    "approximate rank",
    "stable rank",
    "mean |weight|",
)
FORMATS = (".pdf", ".png")


def main(argv: Sequence[str] | None = None) -> None:
    """Print the diagnosis; on an error, print one line and exit with status 2."""
    with told_in_one_line():
        options = _parser().parse_args(argv)
        make, batches = imported("--model", options.model), imported("--data", options.data)
        loss = imported("--loss", options.loss) if options.loss else usual_loss
        state = read_state_dict(options.checkpoint, options.key)
        with blamed("--model", options.model):
            aged, fresh = make(), make()
        if not isinstance(aged, nn.Module) or fresh is aged:
            found = "the same network twice" if fresh is aged else type(aged).__name__
            raise InputError(f"--model: {options.model}: found {found}, allowed: a new torch.nn.Module")
        load(aged, state, options.checkpoint)
        training = Training(options.steps, options.optimizer, options.step_size, options.seeds, loss)
        with blamed("--data", options.data):
            found_batches = read_batches(batches(), options.steps)
        with blamed("--model", f"{options.model} with the batches of {options.data}"):
            diagnosis = diagnose(aged, make, found_batches, training, options.samples)
        if options.plot:
            from lop.plasticity.plots import draw  # imports Matplotlib

            draw(diagnosis, options.plot)
        print(json.dumps(diagnosis.as_json()) if options.json else "\n".join(report(diagnosis, options.checkpoint)))


def report(diagnosis: Diagnosis, path: Path) -> Iterator[str]:
    """Yield the lines that describe a diagnosis of a checkpoint."""
    yield f"{shown(path)}: {len(diagnosis.layers)} hidden layers, measured with {diagnosis.samples:,} samples"
    rows: list[tuple[str, ...]] = [HEAD]
    for layer, weights in diagnosis.layers:
        ranks = (layer.rank, layer.effective_rank, layer.approximate_rank, layer.stable_rank)
        fractions = (f"{layer.dead:.0%}", f"{layer.dormant:.0%}")
        rows.append((layer.name, f"{layer.units}", *fractions, *(f"{rank:.3g}" for rank in ranks), f"{weights:.3g}"))
    yield from _aligned(rows)
    yield f"mean |weight| of the network: {diagnosis.weight_magnitude:.3g}"
    training = diagnosis.training
    yield ""
    yield (
        f"training: {training.optimizer}, step size {training.step_size:g}, steps {training.steps:,}, "
        f"seeds {training.seeds}; means over the last tenth of the steps, and their range over seeds"
    )
    rows = [("", "loss", "accuracy")]
    for name, curves in {"aged": diagnosis.aged, "fresh": diagnosis.fresh}.items():
        losses = [f"{value:.3g}" for value in _mean_and_range([curve.final_loss for curve in curves])]
        accuracies = [f"{value:.0%}" for value in _mean_and_range([curve.final_accuracy for curve in curves])]
        rows.append((name, *("{} ({} to {})".format(*values) for values in (losses, accuracies))))
    yield from _aligned(rows if diagnosis.aged[0].accuracy else [row[:2] for row in rows])


def _mean_and_range(values: Sequence[float]) -> tuple[float, float, float]:
    return float(np.mean(values)), min(values), max(values)


def _aligned(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _picture(text: str) -> Path:
    if Path(text).suffix not in FORMATS:
        raise argparse.ArgumentTypeError(f"found {text!r}, allowed: a file that ends in {' or '.join(FORMATS)}")
    return Path(text)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="python -m lop.plasticity", description=__doc__)
    usual, add = Training(), parser.add_argument
    add(
        "checkpoint",
        type=Path,
        metavar="CHECKPOINT",
        help="file saved by torch.save: a state_dict, or a mapping with one",
    )
    add("--key", help=f"key of the state_dict in the checkpoint (default: the one that exists of {', '.join(KEYS)})")
    add("--model", required=True, metavar="MODULE:FUNCTION", help="function that returns a new network")
    add("--data", required=True, metavar="MODULE:FUNCTION", help="function that returns an iterable of batches")
    add(
        "--loss",
        metavar="MODULE:FUNCTION",
        help="loss of outputs and targets (default: cross-entropy of integer targets, "
        "mean squared error of floating-point ones)",
    )
    add("--optimizer", choices=OPTIMIZERS, default=usual.optimizer, help="optimizer (default: %(default)s)")
    add("--step-size", type=positive, default=usual.step_size, help="step size (default: %(default)s)")
    add("--steps", type=count, default=usual.steps, help="steps of training, one batch each (default: %(default)s)")
    add(
        "--seeds",
        type=count,
        default=usual.seeds,
        help="number of fresh networks, and of copies of the aged one (default: %(default)s)",
    )
    add(
        "--samples",
        type=count,
        default=SAMPLES,
        help="inputs with which hidden layers are measured (default: %(default)s)",
    )
    add("--plot", type=_picture, metavar="FILE", help="PDF or PNG file to draw")
    add("--json", action="store_true", help="print all numbers as JSON, including the learning curves")
    return parser


if __name__ == "__main__":
    main()
