"""Drawing of a diagnosis; numbers are computed in `lop.plasticity.diagnosis`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.figure
import numpy as np
from matplotlib.axes import Axes

from lop.common.files import atomic_file
from lop.plasticity.diagnosis import Curve, Diagnosis

COLOURS = {"aged": "C3", "fresh": "C0"}


def draw(diagnosis: Diagnosis, path: Path) -> None:
    """Draw the learning curves and the measures of all hidden layers; the suffix of the path selects the format."""
    page = matplotlib.figure.Figure(figsize=(9, 6.5), layout="constrained")
    curves, units, ranks, weights = page.subplots(2, 2).flat
    for name, found in {"aged": diagnosis.aged, "fresh": diagnosis.fresh}.items():
        plot_losses(found, curves, name)
    curves.set(xlabel="Steps", ylabel="Loss")
    curves.legend()
    layers = [layer.activations for layer in diagnosis.layers]
    names = [layer.name for layer in layers]
    plot_layers(units, names, {kind: [100 * getattr(layer, kind) for layer in layers] for kind in ("dead", "dormant")})
    units.set(ylabel="Units (%)", ylim=(0, 100))
    kinds = {name: name.replace("_", " ") for name in ("rank", "effective_rank", "approximate_rank", "stable_rank")}
    plot_layers(
        ranks,
        names,
        {text: [100 * getattr(layer, kind) / layer.units for layer in layers] for kind, text in kinds.items()},
    )
    ranks.set(ylabel="Rank (% of units)")
    plot_layers(weights, names, {"weights": [layer.weight_magnitude for layer in diagnosis.layers]})
    weights.set(ylabel="Mean absolute weight")
    with atomic_file(path) as temporary:
        metadata = {"CreationDate": None} if path.suffix == ".pdf" else None
        page.savefig(temporary, format=path.suffix[1:], metadata=metadata)


def plot_losses(curves: Sequence[Curve], ax: Axes, name: str) -> None:
    """Draw the mean of learning curves as a line, and each of them as a thin line.

    Args:
        curves: curves of the same length.
        ax: axes.
        name: `aged` or `fresh`; the label adds the final loss and accuracy.
    """
    losses = np.array([curve.loss for curve in curves])  # (seeds, steps)
    steps = np.arange(1, losses.shape[1] + 1)
    label = f"{name}: loss {np.mean([curve.final_loss for curve in curves]):.3g}"
    if curves[0].accuracy:
        label += f", accuracy {np.mean([curve.final_accuracy for curve in curves]):.0%}"
    ax.plot(steps, losses.T, color=COLOURS[name], linewidth=0.5, alpha=0.5)
    ax.plot(steps, losses.mean(0), color=COLOURS[name], label=label)


def plot_layers(ax: Axes, names: Sequence[str], values: Mapping[str, Sequence[float]]) -> None:
    """Draw a group of bars per hidden layer.

    Args:
        ax: axes.
        names: names of the layers.
        values: {label: a value per layer}.
    """
    width = 0.8 / len(values)
    for place, (label, heights) in enumerate(values.items()):
        ax.bar(np.arange(len(names)) + (place + 0.5) * width - 0.4, heights, width, label=label)
    ax.set_xticks(range(len(names)), names, rotation=45 if len(names) > 4 else 0)
    ax.set_xlabel("Hidden layer")
    if len(values) > 1:
        ax.legend()
