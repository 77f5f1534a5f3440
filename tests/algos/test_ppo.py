"""PPO against the numbers of the published code, against autograd, and by hand."""

from copy import deepcopy
from itertools import count

import numpy as np
import pytest
import torch
from conftest import golden
from refusals import refusal

from lop.algos.adam import LeanAdam
from lop.algos.rl import ppo
from lop.algos.rl.buffer import Buffer
from lop.algos.rl.ppo import PPO, advantage_estimates, surrogate_gradients
from lop.nets.mlp import Backpropagation
from lop.nets.policies import MLPPolicy
from lop.nets.valuefs import MLPVF

ARRAYS, SETTINGS = golden("ppo")
CASES = ("ppo_std", "ppo_ns_l2", "ppo_cbp", "ppo_redo")


def networks(o_dim=6, a_dim=3, h_dim=(16, 16)):
    return (
        MLPPolicy(o_dim, a_dim, act_type="ReLU", h_dim=h_dim, init="lecun"),
        MLPVF(o_dim, act_type="ReLU", h_dim=h_dim, init="lecun"),
    )


def record_replaced_units(learner: PPO) -> list[tuple[int, int, int, int]]:
    """Rows (optimizer step, 0 policy / 1 value network, hidden layer, unit), filled as the learner learns."""
    rows: list[tuple[int, int, int, int]] = []
    for which, units in enumerate((learner.pol_gnt, learner.val_gnt)):
        if units is None:
            continue
        original = units.gen_and_test

        def recorded(features, original=original, which=which, steps=count(1)):  # noqa: B008 (a counter a network)
            step, chosen = next(steps), original(features)
            rows.extend((step, which, layer, int(u)) for layer, us in enumerate(chosen) for u in us)
            return chosen

        units.gen_and_test = recorded
    return rows


def close(actual, expected, tolerance=1e-5):
    actual, expected = np.asarray(actual), np.asarray(expected)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1e-3, np.abs(expected).max()))


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, LeanAdam])
@pytest.mark.parametrize("case", CASES)
def test_meets_the_published_numbers(case, optimizer):
    settings = {key: value for key, value in SETTINGS[case].items() if key != "rounds"}
    torch.manual_seed(0)
    policy, value = networks()
    for name, tensor in {**policy.state_dict(), **value.state_dict()}.items():
        np.testing.assert_array_equal(tensor.numpy(), ARRAYS[f"{case}/init/{name}"])
    learner = PPO(policy, Buffer(6, 3, 64), vf=value, Opt=optimizer, **settings)
    replaced = record_replaced_units(learner)
    rounds = SETTINGS[case]["rounds"]
    for index in range(rounds):
        expected = {k.split("/")[-1]: v for k, v in ARRAYS.items() if k.startswith(f"{case}/round{index}/")}
        play(learner, expected)
        values = check_values(learner, expected, last=index == rounds - 1)
        returns, advantages = learner.get_rets_advs(
            torch.tensor(expected["rewards"]), torch.tensor(expected["dones"]), values[:, 0]
        )
        close(returns, expected["returns"])
        close(advantages, expected["advantages_normalised"])
        learner.vf.value = lambda _, values=values: values
        change = learner.learn()["weight_change"]
        del learner.vf.value
        learner.post_learn()
        close(change, expected["weight_change"])
    for name, tensor in {**policy.state_dict(), **value.state_dict()}.items():
        close(tensor, ARRAYS[f"{case}/final/{name}"])
    np.testing.assert_array_equal(np.array(replaced).reshape(-1, 4), ARRAYS[f"{case}/replaced"])


def play(learner, expected):
    """Feed one rollout; the actions that our policy draws are the published ones."""
    observations = [*expected["obs"], expected["next_obs_last"][0]]
    for t in range(64):
        action, log_probability = learner.pol.sample(observations[t])
        close(action, expected["actions"][t], 1e-4)
        close(log_probability, expected["logp_old"][t, 0], 1e-4)
        learner.log(
            observations[t],
            expected["actions"][t],
            expected["rewards"][t, 0],
            observations[t + 1],
            expected["logp_old"][t, 0],
            None,
            bool(expected["dones"][t, 0]),
        )


@torch.no_grad()
def check_values(learner, expected, last):
    """Compare our values with the published ones and return those; tests/golden/README.md explains the last one."""
    values = learner.vf.value(torch.tensor(np.concatenate((expected["obs"], expected["next_obs_last"]))))
    n = 65 if last else 64
    close(values[:n], expected["values"][:n])
    return torch.tensor(expected["values"])


def test_advantages_by_hand():
    # delta = r + g (1 - d) V' - V = [1 + 0.5 * 2 - 1, 1 - 2, 1 + 0.5 * 4 - 3] = [1, -1, 0], g lm = 0.25
    rewards, dones, values = torch.ones(3), torch.tensor([0.0, 1.0, 0.0]), torch.tensor([1.0, 2.0, 3.0, 4.0])
    advantages = advantage_estimates(rewards, dones, values, g=0.5, lm=0.5)
    assert advantages.tolist() == [1 + 0.25 * -1, -1, 0]


def test_advantages_are_normalised_over_every_minibatch_when_asked(monkeypatch):
    learner, seen = full_learner(u_adv_scl=False, adv_scl_minibatch=True), []
    monkeypatch.setattr(ppo, "surrogate_gradients", lambda *parts: seen.append(parts[4]) or parts[0] * 0)
    learner.learn()
    for advantage in seen:
        close(advantage.mean(), 0, 1e-3)
        close(advantage.std(), 1)
    assert torch.equal(ppo.normalised(torch.ones(4)), torch.zeros(4))


def ppo_loss(policy, value, x, actions, log_probability_old, advantage, returns, eps):
    log_probability, _ = policy.logp_dist(x, actions)
    ratio = (log_probability - log_probability_old).exp()
    surrogate = torch.max(-ratio * advantage, -ratio.clamp(1 - eps, 1 + eps) * advantage).mean()
    return surrogate + (returns - value.value(x)).pow(2).mean()


@pytest.mark.parametrize("activation", ["ReLU", "Tanh", "elu", "sigmoid"])
def test_gradients_are_autograds(activation):
    torch.manual_seed(3)
    policy = MLPPolicy(5, 2, act_type=activation, h_dim=(7, 6), init="xavier")
    value = MLPVF(5, act_type=activation, h_dim=(7, 6), init="xavier")
    x, actions = torch.randn(32, 5), torch.randn(32, 2)
    advantage, returns = torch.randn(32, 1), torch.randn(32, 1)
    with torch.no_grad():
        policy.log_std += torch.tensor([0.3, -0.2])
        old = policy.logp_dist(x, actions)[0] + 0.3 * torch.randn(32, 1)  # some ratios are clipped
    ppo_loss(policy, value, x, actions, old, advantage, returns, 0.2).backward()
    parameters = [*policy.parameters(), *value.parameters()]
    expected = [p.grad.clone() for p in parameters]

    policy_net, value_net = Backpropagation(policy.mean_net, activation), Backpropagation(value.v_net, activation)
    with torch.no_grad():
        means = policy_net.forward(x)
        d_means = surrogate_gradients(means, policy.log_std.detach(), actions, old, advantage, 0.2, policy.log_std.grad)
        policy_net.backward(d_means)
        value_net.backward((value_net.forward(x) - returns) * 2 / 32)
    for parameter, gradient in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-4, atol=1e-6)


def full_learner(optimizer=torch.optim.Adam, **settings) -> PPO:
    """A learner with a full buffer, whose last 4 of 10 observations are zero."""
    torch.manual_seed(1)
    policy, value = networks(o_dim=10)
    settings = {"n_slices": 2, "wd": 0.1, "rng": np.random.default_rng(0)} | settings
    learner = PPO(policy, Buffer(10, 3, 16), 1e-2, 0.99, value, 0.95, optimizer, **settings)
    draws = np.random.default_rng(5)
    for t in range(16):
        o = np.concatenate((draws.normal(size=6), np.zeros(4)))
        learner.log(o, draws.normal(size=3), draws.normal(), o, draws.normal(), None, t == 9)
    return learner


def learn_once(monkeypatch, skip_zeros: bool) -> list[torch.Tensor]:
    if not skip_zeros:
        monkeypatch.setattr(ppo, "_live_columns", lambda observations: observations.shape[1])
    learner = full_learner()
    learner.learn()
    return learner.parameters


def test_columns_that_are_always_zero_are_skipped_and_change_nothing(monkeypatch):
    """Matrix products omit the 84 dead observations of Ant; their weights still decay."""
    for a, b in zip(learn_once(monkeypatch, True), learn_once(monkeypatch, False), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("settings", [{}, {"max_grad_norm": 0.5}, {"pgnt": True, "mt": 2, "replacement_rate": 0.2}])
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, LeanAdam])
def test_copies_and_learners_without_gradients_learn_the_same(optimizer, settings):
    learner = full_learner(optimizer, **settings)
    before = [p.detach().clone() for p in learner.parameters]
    copied, without = deepcopy(learner), full_learner(optimizer, **settings)
    without.opt.zero_grad()
    for one in (learner, copied, without):
        torch.manual_seed(2)
        one.learn()
        for p, expected, old in zip(one.parameters, learner.parameters, before, strict=True):
            assert torch.equal(p, expected)
            assert not torch.equal(p, old)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("loss_type", "a2c"), ("n_slices", 0), ("n_slices", 17), ("replacement_rate", -1), ("move_mean_to_bias", True)],
)
def test_impossible_values_are_named(argument, value):
    policy, vf = networks()
    with refusal(argument, value, error=ValueError):
        PPO(
            policy,
            Buffer(6, 3, 16),
            1e-3,
            0.99,
            vf,
            0.95,
            torch.optim.Adam,
            **{"pgnt": True, "n_slices": 2, "redo": argument == "move_mean_to_bias", argument: value},
        )


def test_updates_at_episode_ends_only_when_asked():
    policy, vf = networks()
    learner = PPO(policy, Buffer(6, 3, 4), 1e-3, 0.99, vf, 0.95, torch.optim.Adam, n_slices=2, u_epi_up=True)
    o = np.zeros(6)
    learned = [learner.log_update(o, np.zeros(3), 0.0, o, 0.0, None, t in (2, 6))["learned"] for t in range(7)]
    assert learned == [False] * 6 + [True]
