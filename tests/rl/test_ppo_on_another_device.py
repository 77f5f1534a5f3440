"""PPO on a device other than the CPU gives the same results and resumes exactly."""

import numpy as np
import pytest
from interrupted import InterruptedRun, finished, goes_on_after_a_cut

from lop.algos.units import HiddenLayer
from lop.problems import PROBLEMS
from lop.rl import run_ppo
from lop.rl.run_ppo import train
from lop.runs.spec import Conditions, resolve

SMALL = {"engine": "reference", "n_steps": 300, "bs": 96, "n_itrs": 1, "n_slices": 4, "h_dim": [16, 16]}
METHODS = {
    "std": {"to_log": ["pol_features_activity", "pol_weights", "val_weights", "weight_change"]},
    "l2": {"max_grad_norm": 0.5, "bootstrap_time_limit": True, "init": "orthogonal"},
    "cbp": {"rr": 0.05, "mt": 5, "clear_optimizer_state": True, "move_mean_to_bias": True},
    "ns": {"redo": True, "threshold": 0.3, "reset_period": 3},
}


def run_of(results, config, device):
    more = {"overrides": {**SMALL, **METHODS[config]}, "conditions": Conditions(device=device)}
    return InterruptedRun(resolve(PROBLEMS["rl"], f"hopper/{config}", 0, "paper", **more), results)


@pytest.mark.parametrize("config", METHODS)
def test_run_matches_the_cpu_and_resumes_exactly(config, other_device, tmp_path, monkeypatch):
    monkeypatch.setattr(run_ppo, "WINDOW", 100)  # steps between two measurements of activity
    replaced, renew = [], HiddenLayer.renew
    monkeypatch.setattr(HiddenLayer, "renew", lambda *layer: replaced.append(layer) or renew(*layer))
    found, its_state = goes_on_after_a_cut(
        train, lambda name: run_of(tmp_path / name, config, other_device), saved_at=230
    )  # in the middle of a rollout
    assert bool(replaced) == (config in ("cbp", "ns"))
    table, state = finished(train, run_of(tmp_path / "cpu", config, "cpu"))
    np.testing.assert_allclose(found["value"], table["value"], rtol=0.02)
    for net in ("policy", "value"):
        for name, weight in state["agent"][net].items():
            np.testing.assert_allclose(its_state["agent"][net][name], weight, atol=0.01)
