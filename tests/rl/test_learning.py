"""The phenomenon at its smallest: PPO learns, with continual backpropagation too, and not without its updates."""

import subprocess
import sys

import pyarrow.parquet as pq
import pytest

from lop.common.paths import ROOT

STEPS = 30_000


def mean_returns(results, config, *extra) -> tuple[float, float]:
    """Mean return on Hopper in the first and in the last quarter of a run."""
    cfg = str(ROOT / f"lop/rl/cfg/ant/{config}.yml")
    run = [sys.executable, "-m", "lop.rl.run_ppo", "-c", cfg, "--results", str(results), "--env_name", "Hopper-v3"]
    subprocess.run([*run, "--n_steps", str(STEPS), *extra], check=True, capture_output=True)
    (path,) = results.glob("rl/*/*/seed-0/metrics-*.parquet")
    table = pq.read_table(path).to_pandas().query("metric == 'return'")
    first, last = table[table.step <= STEPS / 4], table[table.step > 3 * STEPS / 4]
    return first.value.mean(), last.value.mean()


@pytest.mark.parametrize("config", ["std", "cbp"])
def test_ppo_learns_to_hop(tmp_path, config):
    before, after = mean_returns(tmp_path, config, "--lr", "3e-4")
    assert before < 100
    assert after > 120


@pytest.mark.slow
def test_nothing_is_learned_with_a_step_size_of_nothing(tmp_path):
    before, after = mean_returns(tmp_path, "std", "--lr", "1e-12")
    assert abs(after - before) < 15
