"""Environment steps per second of whole PPO runs, logging and checkpoints on, against bare physics.

    make benchmark        or        python benchmarks/rl.py --rounds 3 --steps 20480 --all

Bare physics (mj_step of all substeps, Gaussian actions, episodes ended as the environment's are) is measured right
before and right after every run, on the same core count, because shared machines drift. What counts is the ratio.
`--all` measures every environment, not only Ant, and what logging costs.
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
from lop.common.paths import ROOT
from lop.runs.metrics import read_about

FLOORS = {"ant/std": 0.48, "ant/cbp": 0.45}  # what a run may fall to before we call it a regression
OTHERS = [f"{env}/{method}" for env in ("sant", "hopper", "walker") for method in ("std", "cbp")]
NAMES = {"ant": "Ant-v3", "sant": "SlipperyAnt-v3", "hopper": "Hopper-v3", "walker": "Walker2d-v3"}
LOGGING = "[pol_features_activity, stable_rank, pol_weights, val_weights, weight_change]"


def bare_physics(name: str, seconds: float = 3.0) -> float:
    """Environment steps per second of nothing but the simulation."""
    env = gymnasium.make(name).unwrapped
    model, data = env.model, env.data
    low, high = env._healthy_z_range
    rng = np.random.default_rng(0)
    actions = rng.normal(size=(4096, model.nu))
    env.reset(seed=0)
    start, steps = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        for action in actions:
            data.ctrl[:] = action
            mujoco.mj_step(model, data, env.frame_skip)
            if not low <= data.qpos[env.ground_positions] <= high:
                env.reset()
        steps += len(actions)
    return steps / (time.perf_counter() - start)


def training(config: str, steps: int, *more: str) -> float:
    """Environment steps per second of one run, as its own metadata tells them."""
    with tempfile.TemporaryDirectory() as results:
        command = [sys.executable, "-m", "lop.rl.run_ppo", "-c", str(ROOT / f"lop/rl/cfg/{config}.yml")]
        command += ["--n_steps", str(steps), "--results", results, "--checkpoint-every", "5", *more]
        if config.endswith("cbp"):
            command += ["--mt", "100"]  # so that units mature, and replacement is measured too
        subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
        return read_about(next(Path(results).glob("rl/*/*/*/metrics-*.parquet")))["steps_per_second"]


def cost_of_logging(steps: int, rounds: int) -> float:
    """Share of a run of standard PPO on Ant that all metrics together take; runs with and without take turns."""
    rates: dict[str, list[float]] = {LOGGING: [], "[]": []}
    for _ in range(rounds):
        for metrics, found in rates.items():
            found.append(training("ant/std", steps, "--to_log", metrics))
    return 1 - statistics.median(rates[LOGGING]) / statistics.median(rates["[]"])


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
    parser.add_argument("--all", action="store_true", help="every environment, and the cost of logging")
    options = parser.parse_args()
    ratios: dict[str, list[float]] = {config: [] for config in [*FLOORS, *(OTHERS if options.all else [])]}
    for _ in range(options.rounds):
        for config in ratios:
            name = NAMES[config.partition("/")[0]]
            before, rate, after = bare_physics(name), training(config, options.steps), bare_physics(name)
            ratios[config].append(rate / statistics.mean((before, after)))
            print(
                f"{config}: {rate:,.0f} steps/s, physics {before:,.0f} and {after:,.0f}, ratio {ratios[config][-1]:.3f}"
            )
    for config, values in ratios.items():
        low, middle, high = min(values), statistics.median(values), max(values)
        wanted = FLOORS.get(config)
        verdict = f"; wanted {wanted}: {'met' if middle >= wanted else 'NOT met'}" if wanted else ""
        print(f"{config}: ratio {low:.3f} {middle:.3f} {high:.3f} (min, median, max){verdict}")
    if options.all:
        print(f"logging takes {cost_of_logging(options.steps, 2 * options.rounds):.1%} of a run (wanted: below 5%)")
    print(f"one step including start and end of the process: {min(start_up() for _ in range(3)):.2f} s")


if __name__ == "__main__":
    main()
