"""PPO rejects invalid settings."""

import pytest
from refusals import refusal

from lop.algos.rl.settings import PPOSettings, UnitReplacement


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        (UnitReplacement, "replacement_rate", 1.5),
        (UnitReplacement, "decay_rate", 1.0),
        (UnitReplacement, "maturity_threshold", -1),
        (UnitReplacement, "util_type", "use"),
        (UnitReplacement, "threshold", -0.5),
        (UnitReplacement, "reset_period", 0),
        (PPOSettings, "learning_rate", -1),
        (PPOSettings, "betas", (0.9, 1.0)),
        (PPOSettings, "eps", 0),
        (PPOSettings, "clip_coef", -1),
        (PPOSettings, "max_grad_norm", -0.5),
        (PPOSettings, "weight_decay", -1),
        (PPOSettings, "gamma", 1.5),
        (PPOSettings, "gae_lambda", float("nan")),
        (PPOSettings, "update_epochs", 0),
        (PPOSettings, "num_minibatches", 4096),
        (PPOSettings, "perturb_scale", -1),
    ],
)
def test_invalid_values_are_rejected(kind, key, value):
    with refusal(key, value, error=ValueError):
        kind(**{key: value})


def test_redo_with_move_mean_to_bias_is_rejected():
    with refusal("move_mean_to_bias", "redo", error=ValueError):
        UnitReplacement("redo", move_mean_to_bias=True)
