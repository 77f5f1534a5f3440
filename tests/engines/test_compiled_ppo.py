"""The compiled PPO agent against numbers of the published code and against the reference agent."""

import numpy as np
import pytest
import torch
from recordings import golden
from refusals import refusal

from lop.algos.rl import agent as reference
from lop.algos.rl.settings import NetworkSettings, PPOSettings, UnitReplacement
from lop.engines.ppo import agent as compiled

ARRAYS, SETTINGS = golden("ppo")
RELU = NetworkSettings((16, 16), "ReLU", "lecun")


def close(actual, expected, tolerance=1e-5):
    actual, expected = np.asarray(actual), np.asarray(expected)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1e-3, np.abs(expected).max()))


def published(case):
    """Return the settings of a recorded case under this library's names, and the number of rounds."""
    keys = dict(SETTINGS[case])
    units = UnitReplacement(
        algorithm="redo" if keys.pop("redo", False) else "cbp",
        **{
            ours: keys.pop(theirs)
            for theirs, ours in {
                "replacement_rate": "replacement_rate",
                "decay_rate": "decay_rate",
                "mt": "maturity_threshold",
                "util_type_pol": "util_type",
                "threshold": "threshold",
                "reset_period": "reset_period",
            }.items()
            if theirs in keys
        },
    )
    names = {
        "lr": "learning_rate",
        "g": "gamma",
        "lm": "gae_lambda",
        "n_itrs": "update_epochs",
        "n_slices": "num_minibatches",
        "clip_eps": "clip_coef",
        "wd": "weight_decay",
        "betas": "betas",
    }
    settings = {ours: keys.pop(theirs) for theirs, ours in names.items() if theirs in keys}
    replaces = {
        "policy_replacement": units if keys.pop("pgnt", False) else None,
        "value_replacement": units if keys.pop("vgnt", False) else None,
    }
    rounds = keys.pop("rounds")
    assert keys.pop("util_type_val", units.util_type) == units.util_type
    assert not set(keys) - {"max_grad_norm", "init", "eps"}, keys
    return PPOSettings(num_steps=64, **settings, **replaces), rounds


@pytest.mark.parametrize("case", SETTINGS)
def test_training_matches_published_code(case, monkeypatch):
    settings, rounds = published(case)
    agent = compiled.Agent(6, 3, RELU, settings, seed=0, rng=np.random.default_rng(0))
    for name, tensor in named_parameters(agent).items():
        np.testing.assert_array_equal(tensor, ARRAYS[f"{case}/init/{name}"])
    hidden, replaced = [np.zeros(16, np.float32) for _ in range(2)], np.zeros(2)
    for index in range(rounds):
        expected = {k.split("/")[-1]: v for k, v in ARRAYS.items() if k.startswith(f"{case}/round{index}/")}
        observations = [*expected["obs"], expected["next_obs_last"][0]]
        for t in range(64):
            action, log_probability = agent.act(observations[t], hidden)
            close(action, expected["actions"][t], 1e-4)
            close(log_probability, expected["logp_old"][t, 0], 1e-4)
            played = (
                expected["actions"][t],
                expected["rewards"][t, 0],
                observations[t + 1],
                expected["logp_old"][t, 0],
            )
            agent.buffer.store(observations[t], *played, None, bool(expected["dones"][t, 0]))
        close(agent._values(np.stack(observations)[:64]), expected["values"][:64, 0])
        monkeypatch.setattr(agent, "_values", lambda _, values=expected["values"]: values[:, 0])
        metrics = agent.learn()
        monkeypatch.undo()
        replaced += metrics["policy_units_replaced"], metrics["value_units_replaced"]
        close(metrics["weight_change"], expected["weight_change"])
    for name, tensor in named_parameters(agent).items():
        close(tensor, ARRAYS[f"{case}/final/{name}"])
    assert replaced.tolist() == np.bincount(ARRAYS[f"{case}/replaced"][:, 1], minlength=2).tolist()


def named_parameters(agent):
    """Return the parameters under the names of the reference's state dicts."""
    found = {"log_std": agent.parameters[-agent.sizes.actions :]}
    for network, layers in zip(("mean_net", "v_net"), agent.layers(agent.parameters).values(), strict=True):
        for index, (weights, biases) in enumerate(layers):
            found |= {f"{network}.{2 * index}.weight": weights.T, f"{network}.{2 * index}.bias": biases}
    return found


CBP = {"replacement_rate": 0.02, "maturity_threshold": 3}
CASES = {
    "standard": {},
    "L2, tuned Adam, minibatch advantages": {
        "weight_decay": 1e-2,
        "betas": (0.99, 0.99),
        "norm_adv": False,
        "norm_adv_minibatch": True,
    },
    "a rate of 0": {"units": {"replacement_rate": 0.0, "maturity_threshold": 3}},
    "minibatches of one": {"num_minibatches": 64, "norm_adv_minibatch": True},
    "clipped gradients, unclipped surrogate": {"max_grad_norm": 0.5, "clip_coef": None},
    "redo": {"units": {"algorithm": "redo", "threshold": 0.5, "reset_period": 5}},
    "redo, cleared moments": {
        "units": {"algorithm": "redo", "threshold": 0.5, "reset_period": 5, "clear_optimizer_state": True}
    },
    "several units per step": {"activation": "tanh", "units": {"replacement_rate": 0.3, "maturity_threshold": 3}},
    "means moved to biases": {"activation": "tanh", "units": {**CBP, "move_mean_to_bias": True}},
    "cleared moments": {"activation": "tanh", "units": {**CBP, "clear_optimizer_state": True}},
    **{name: {"activation": name, "init": "kaiming"} for name in ("Tanh", "sigmoid", "elu")},
    **{f"init {name}": {"init": name} for name in ("default", "xavier")},
    **{
        name: {"activation": "tanh", "units": {**CBP, "util_type": name}}
        for name in (
            "contribution",
            "zero_contribution",
            "adaptable_contribution",
            "feature_by_input",
            "weight",
            "adaptation",
            "random",
        )
    },
}


def agents(activation="ReLU", init="lecun", units=None, o_dim=7, a_dim=3, **settings):
    """Return the reference agent and the compiled agent with the same settings and seeds."""
    network = NetworkSettings((16, 12), activation, init)
    replacement = UnitReplacement(**units) if units else None
    settings = PPOSettings(
        **{"learning_rate": 1e-3, "num_steps": 64, "num_minibatches": 4, "update_epochs": 3} | settings,
        policy_replacement=replacement,
        value_replacement=replacement,
    )
    return [
        module.Agent(o_dim, a_dim, network, settings, 5, np.random.default_rng(1)) for module in (reference, compiled)
    ]


def weights(agent):
    for layers in agent.weights().values():
        for matrix in layers:
            yield matrix.detach().numpy().T if torch.is_tensor(matrix) else matrix


@pytest.mark.parametrize("case", CASES)
def test_compiled_agent_matches_the_reference(case):
    both = agents(**CASES[case])
    for ours, theirs in zip(*map(weights, both), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    hidden = [[np.zeros(16, np.float32), np.zeros(12, np.float32)] for _ in both]
    draws, replaced = np.random.default_rng(2), 0
    for _ in range(4):
        for _ in range(64):
            observation, following = np.pad(draws.normal(size=(2, 5)), ((0, 0), (0, 2)))  # two inputs are always zero
            drawn = [agent.act(observation, h) for agent, h in zip(both, hidden, strict=True)]
            for ours, theirs in zip(*drawn, strict=True):
                np.testing.assert_allclose(ours, theirs, atol=2e-5)
            for ours, theirs in zip(*hidden, strict=True):
                np.testing.assert_allclose(ours, theirs, atol=2e-5)
            played = (drawn[0][0], draws.normal(), following, drawn[0][1], None, draws.random() < 0.1)
            for agent in both:
                agent.buffer.store(observation, *played)
        assert both[0].value(following) == pytest.approx(both[1].value(following), abs=2e-5)
        metrics, expected = both[1].learn(), both[0].learn()
        assert metrics == pytest.approx(expected, rel=2e-3, abs=1e-4)
        replaced += metrics["policy_units_replaced"] + metrics["value_units_replaced"]
        for ours, theirs in zip(*map(weights, both), strict=True):
            np.testing.assert_allclose(ours, theirs, atol=2e-5)
    assert (replaced > 10) == (CASES[case].get("units", {"replacement_rate": 0}).get("replacement_rate", 1) > 0)


@pytest.mark.parametrize("beta_1", [0.0, 0.9])
def test_weights_of_inputs_that_become_zero_still_change(beta_1):
    """Adam's moments keep changing the weights of an input that has become zero, and its second moment decays."""
    both, draws = agents(betas=(beta_1, 0.999)), np.random.default_rng(3)
    for columns in (7, 4, 7):
        before = next(weights(both[1])).copy()
        for _ in range(64):
            observation = np.pad(draws.normal(size=columns), (0, 7 - columns))
            action, reward = draws.normal(size=3), draws.normal()
            for agent in both:
                agent.buffer.store(observation, action, reward, observation, -4.0, None, False)
        for agent in both:
            agent.learn()
        moved = next(weights(both[1])) - before
        assert (np.abs(moved[4:]).min() > 0) == (columns == 7 or beta_1 > 0)
        np.testing.assert_allclose(next(weights(both[1])), next(weights(both[0])), atol=2e-5)


def test_hidden_arrays_of_other_lengths_are_rejected():
    agent = agents()[1]
    with refusal("hidden", 16, 12, 40, error=ValueError):
        agent.act(np.zeros(7), [np.zeros(40, np.float32), np.zeros(12, np.float32)])


@pytest.mark.parametrize(
    ("key", "found", "more"),
    [
        ("hidden", 4, {"hidden": (4, 4, 4)}),
        ("activation", "swish", {"activation": "swish"}),
        ("init", "orthogonal", {"init": "orthogonal"}),
        ("perturb_scale", 0.1, {"perturb_scale": 0.1}),
        ("num_minibatches", 3, {"num_steps": 4, "num_minibatches": 3}),
        ("a_dim", 16, {"a_dim": 16}),
    ],
)
def test_unsupported_settings_are_rejected(key, found, more):
    network = NetworkSettings(more.get("hidden", (4, 4)), more.get("activation", "relu"), more.get("init", "lecun"))
    settings = PPOSettings(**{k: v for k, v in more.items() if k in ("perturb_scale", "num_steps", "num_minibatches")})
    with refusal(key, found, error=ValueError):
        compiled.Agent(3, more.get("a_dim", 2), network, settings, 0, np.random.default_rng(0))
