"""Measure the speed of PPO runs with logging and checkpoints against bare physics and optionally another checkout.

    python benchmarks/rl.py                              # Ant
    python benchmarks/rl.py --all --rounds 5             # all environments, start-up and the cost of logging
    python benchmarks/rl.py --all --beside ../baseline   # alternate with another checkout and its .venv, if any

Runs and bare physics (`mj_step` with Gaussian actions and the resets of the environment) alternate, because the speed
of shared machines drifts. The script prints medians over rounds: environment steps per second; microseconds per step of
physics and of everything else; and the latter relative to the matrix products of an update, computed by the BLAS of
NumPy or torch, whichever is faster. One thread.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[variable] = "1"
for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(variable, None)

import numpy as np
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[1]
ENVIRONMENTS = {"ant": "Ant-v3", "sant": "SlipperyAnt-v3", "hopper": "Hopper-v3", "walker": "Walker2d-v3"}
LIVE = {"ant": (27, 8), "sant": (27, 8), "hopper": (11, 3), "walker": (17, 6)}  # inputs that are not always 0, actions
METRICS = "[pol_features_activity, stable_rank, pol_weights, val_weights, weight_change]"
MINIBATCH, MINIBATCHES_PER_STEP = 128, 10 / 128  # with the paper's settings: 10 epochs, each with every step once
PHYSICS = """
import sys, time, gymnasium, mujoco, numpy as np
import lop.envs
env = gymnasium.make(sys.argv[1]).unwrapped
model, data = env.model, env.data
low, high = env._healthy_z_range
actions = np.random.default_rng(0).normal(size=(1024, model.nu))
env.reset(seed=0)
start, steps = time.perf_counter(), 0
while time.perf_counter() - start < float(sys.argv[2]):
    for action in actions:
        data.ctrl[:] = action
        mujoco.mj_step(model, data, env.frame_skip)
        if not low <= data.qpos[env.ground_positions] <= high:
            env.reset()
    steps += len(actions)
print(steps / (time.perf_counter() - start))
"""


class Checkout:
    """A checkout of the project and the interpreter that runs it."""

    def __init__(self, name: str, folder: Path):
        own = folder / ".venv/bin/python"
        self.name, self.folder = name, folder
        self.python = str(own) if own.exists() and folder != ROOT else sys.executable

    def call(self, *arguments: str) -> str:
        environment = os.environ | {"PYTHONPATH": str(self.folder)}
        command = [self.python, *arguments]
        done = subprocess.run(command, check=True, cwd=self.folder, env=environment, capture_output=True, text=True)
        return done.stdout

    def physics(self, environment: str, seconds: float) -> float:
        """Return environment steps per second of the simulation alone."""
        return float(self.call("-c", PHYSICS, ENVIRONMENTS[environment], str(seconds)))

    def training(self, config: str, steps: int, metrics: str = METRICS) -> float:
        """Return environment steps per second of one run, as its metadata reports them."""
        with tempfile.TemporaryDirectory() as results:
            replacing = ["--mt", "100"] if config.endswith("cbp") else []  # otherwise no unit would mature
            options = ["--n_steps", str(steps), "--results", results, "--checkpoint-every", "5", "--to_log", metrics]
            cfg = str(self.folder / f"lop/rl/cfg/{config}.yml")
            self.call("-m", "lop.rl.run_ppo", "-c", cfg, *options, *replacing)
            found = next(Path(results).rglob("metrics*.parquet"))
            return json.loads(pq.read_schema(found).metadata[b"lop"])["steps_per_second"]

    def start_up(self) -> float:
        """Return the seconds of a run of one step, from the start of the interpreter to its end."""
        with tempfile.TemporaryDirectory() as results:
            start = time.perf_counter()
            cfg = str(self.folder / "lop/rl/cfg/ant/std.yml")
            self.call("-m", "lop.rl.run_ppo", "-c", cfg, "--n_steps", "1", "--results", results)
            return time.perf_counter() - start


def matrix_products(environment: str) -> float:
    """Return the microseconds per environment step of the matrix products of an update, with the faster library."""
    import torch

    torch.set_num_threads(1)
    inputs, actions = LIVE[environment]
    draws, products = np.random.default_rng(0), []
    for sizes in ((inputs, 256, 256, actions), (inputs, 256, 256, 1)):
        layers = [draws.normal(size=(MINIBATCH, n)).astype(np.float32) for n in sizes]
        for index, (n_in, n_out) in enumerate(pairwise(sizes)):
            weights = draws.normal(size=(n_in, n_out)).astype(np.float32)
            below, above = layers[index], layers[index + 1]
            products += [(below, weights, np.empty_like(above)), (below.T, above, np.empty_like(weights))]
            if index:  # no gradient with respect to the observations
                products.append((above, weights.T, np.empty_like(below)))
    tensors = [tuple(map(torch.from_numpy, (a, b, out))) for a, b, out in products]

    def by_numpy() -> None:
        for a, b, out in products:
            np.dot(a, b, out=out)

    def by_torch() -> None:
        for a, b, out in tensors:
            torch.mm(a, b, out=out)

    return min(seconds_of(library, 100) for library in (by_numpy, by_torch)) * 1e6 * MINIBATCHES_PER_STEP


def seconds_of(function, times: int) -> float:
    """Return the seconds of one call, the best of five averages."""
    averages = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(times):
            function()
        averages.append((time.perf_counter() - start) / times)
    return min(averages)


def report(config: str, found: dict[str, dict[str, list[float]]], products: list[float]) -> None:
    floor = statistics.median(products)
    for name, measured in found.items():
        rest = [1e6 / rate - 1e6 / bare for rate, bare in zip(measured["rate"], measured["physics"], strict=True)]
        print(
            f"{config} {name}: {statistics.median(measured['rate']):,.0f} steps/s, physics "
            f"{1e6 / statistics.median(measured['physics']):.0f} us, everything else {statistics.median(rest):.0f} us, "
            f"{statistics.median(rest) / floor:.2f} times the matrix products ({floor:.0f} us)"
        )
    if len(found) > 1:
        ours, theirs = (measured["rate"] for measured in found.values())
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        print(f"{config}: {statistics.median(ratios):.2f} times as fast ({min(ratios):.2f} to {max(ratios):.2f})")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=20_480, help="environment steps of a run")
    parser.add_argument("--all", action="store_true", help="all environments, start-up and the cost of logging")
    parser.add_argument("--beside", type=Path, help="another checkout of the project")
    options = parser.parse_args()
    checkouts = [Checkout("here", ROOT)]
    if options.beside:
        checkouts.append(Checkout("beside", options.beside.resolve()))
    for checkout in checkouts:  # compile kernels
        checkout.training("ant/cbp", 2048)

    environments = list(ENVIRONMENTS) if options.all else ["ant"]
    for config in [f"{environment}/{method}" for environment in environments for method in ("std", "cbp")]:
        environment, products = config.partition("/")[0], []
        found: dict[str, dict[str, list[float]]] = {checkout.name: defaultdict(list) for checkout in checkouts}
        for _ in range(options.rounds):
            products.append(matrix_products(environment))
            for checkout in checkouts:
                before = checkout.physics(environment, 1.0)
                found[checkout.name]["rate"].append(checkout.training(config, options.steps))
                found[checkout.name]["physics"].append((before + checkout.physics(environment, 1.0)) / 2)
        report(config, found, products)

    if options.all:
        rates: dict[str, list[float]] = {METRICS: [], "[]": []}
        for _ in range(2 * options.rounds):
            for metrics, measured in rates.items():
                measured.append(checkouts[0].training("ant/std", options.steps, metrics))
        share = 1 - statistics.median(rates[METRICS]) / statistics.median(rates["[]"])
        print(f"logging all metrics takes {share:.1%} of a run")
    for checkout in checkouts:
        print(f"a run of one step, {checkout.name}: {min(checkout.start_up() for _ in range(5)):.2f} s")


if __name__ == "__main__":
    main()
