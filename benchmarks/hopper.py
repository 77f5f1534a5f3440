"""Draw docs/hopper_check.png: returns on Hopper of Stable-Baselines3's PPO and of ours, from the existing runs.

    python benchmarks/sb3.py Hopper-v3
    for s in 0 1 2; do python lop/rl/run_ppo.py -c lop/rl/cfg/hopper/cbp.yml --n_steps 1e6 --init orthogonal -s $s; done
    python benchmarks/hopper.py

Thin lines are runs and thick lines their means, in bins of 50,000 steps. The script also prints the mean return of the
last 100 episodes of each run.
"""

from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd

from lop.common.paths import PROJECT, ROOT
from lop.problems import PROBLEMS
from lop.runs.configured import configured
from lop.runs.metrics import read_table
from lop.runs.spec import resolve

BIN = 50_000


def ours(config: str, **overrides: str) -> str:
    """Return a pattern for the metrics files of a config's runs, relative to the results folder."""
    changes = {"n_steps": 1_000_000, **overrides}
    spec = resolve(PROBLEMS["rl"], f"hopper/{config}", 0, "paper", overrides=changes)
    return f"{spec.group}/seed-*/{spec.path.name}"


RUNS = {  # label -> pattern of its metrics files in the results
    "Stable-Baselines3, its defaults": "sb3/Hopper-v3/seed-*.parquet",
    "ours, standard PPO as published": ours("std"),
    "ours, standard PPO, orthogonal weights": ours("std", init="orthogonal"),
    "ours, continual backpropagation as published": ours("cbp"),
    "ours, continual backpropagation, orthogonal weights": ours("cbp", init="orthogonal"),
}


def returns(path: Path) -> pd.Series:
    """Return the returns of a run's episodes, indexed by the step at which each ended."""
    table = read_table(path).to_pandas()
    return table[table["metric"] == "return"].set_index("step")["value"]


def main() -> None:
    fig, ax = plt.subplots(figsize=(7.5, 4.5))
    results = PROJECT / configured().results
    for number, (label, pattern) in enumerate(RUNS.items()):
        runs = [returns(path) for path in sorted(results.glob(pattern))]
        if not runs:
            continue
        print(f"{label}: {', '.join(f'{run.tail(100).mean():,.0f}' for run in runs)}")
        binned = pd.concat([run.groupby((run.index - 1) // BIN).mean() for run in runs], axis=1)
        millions = (binned.index + 1) * BIN / 1e6
        ax.plot(millions, binned, color=f"C{number}", lw=0.5, alpha=0.6)
        ax.plot(millions, binned.mean(axis=1), color=f"C{number}", lw=2, label=f"{label} ({len(runs)} runs)")
    ax.set(xlabel="Environment steps (millions)", ylabel="Return per episode", xlim=(0, 1), ylim=(0, None))
    ax.legend(frameon=False, fontsize=8)
    fig.tight_layout()
    fig.savefig(ROOT / "docs/hopper_check.png", dpi=100)


if __name__ == "__main__":
    main()
