"""Environment steps per second of whole PPO runs, logging and checkpoints on, against bare physics.

    make benchmark        or        python benchmarks/rl.py --rounds 3 --steps 20480

Bare physics (mj_step, five substeps, Gaussian actions, episodes ended as Ant's are) is measured right before and right
after every run, on the same core count, because shared machines drift. What counts is the ratio.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"

import gymnasium
import mujoco
import numpy as np

import lop.envs  # noqa: F401 (registers the environments)
from lop.paths import ROOT
from lop.runs.metrics import read_about

FLOORS = {"std": 0.48, "cbp": 0.45}  # what a run may fall to before we call it a regression


def bare_physics(seconds: float = 3.0) -> float:
    """Environment steps per second of nothing but the simulation."""
    env = gymnasium.make("Ant-v3").unwrapped
    model, data = env.model, env.data
    rng = np.random.default_rng(0)
    actions = rng.normal(size=(4096, model.nu))
    env.reset(seed=0)
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for action in actions:
            data.ctrl[:] = action
            mujoco.mj_step(model, data, 5)
            if not 0.2 <= data.qpos[2] <= 1.0:
                env.reset()
        steps += len(actions)
    return steps / (time.perf_counter() - start)


def training(config: str, steps: int) -> float:
    """Environment steps per second of one run, as its own metadata tells them."""
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, "-m", "lop.rl.run_ppo", "-c", str(ROOT / f"lop/rl/cfg/ant/{config}.yml")]
        command += ["--n_steps", str(steps), "--results", results, "--checkpoint-every", "5"]
        if config == "cbp":
            command += ["--mt", "100"]  # so that units mature, and replacement is measured too
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        return read_about(next(Path(results).glob("paper/**/metrics.parquet")))["steps_per_second"]


def start_up() -> float:
    """Seconds until a run has imported everything and taken its first steps."""
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, "-m", "lop.rl.run_ppo", "-c", str(ROOT / "lop/rl/cfg/ant/std.yml")]
        start = time.perf_counter()
        subprocess.run([*command, "--n_steps", "1", "--results", results], check=True, stderr=subprocess.DEVNULL)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20_480)
    options = parser.parse_args()
    ratios: dict[str, list[float]] = {config: [] for config in FLOORS}
    for _ in range(options.rounds):
        for config in FLOORS:
            before, rate, after = bare_physics(), training(config, options.steps), bare_physics()
            ratios[config].append(rate / statistics.mean((before, after)))
            print(
                f"{config}: {rate:,.0f} steps/s, physics {before:,.0f} and {after:,.0f}, ratio {ratios[config][-1]:.3f}"
            )
    for config, values in ratios.items():
        low, middle, high = min(values), statistics.median(values), max(values)
        verdict = "met" if middle >= FLOORS[config] else "NOT met"
        print(
            f"{config}: ratio {low:.3f} {middle:.3f} {high:.3f} (min, median, max); wanted {FLOORS[config]}: {verdict}"
        )
    print(f"one step including start and end of the process: {min(start_up() for _ in range(3)):.2f} s")


if __name__ == "__main__":
    main()
