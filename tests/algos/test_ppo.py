"""PPO against numbers of the published code and hand-computed values."""

from contextlib import contextmanager
from copy import deepcopy
from itertools import count

import numpy as np
import pytest
import torch
from recordings import golden
from refusals import refusal

from lop.algos import eager
from lop.algos.rl import ppo
from lop.algos.rl.advantages import advantage_estimates, explained_variance, normalised
from lop.algos.rl.buffer import Buffer
from lop.algos.rl.ppo import PPO
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
    """Return a list that collects a row (optimizer step, 0 policy / 1 value, hidden layer, unit) per replaced unit."""
    rows: list[tuple[int, int, int, int]] = []
    for which, units in enumerate((learner.pol_gnt, learner.val_gnt)):
        if units is None:
            continue
        original = units.replace_units

        def recorded(features, original=original, which=which, steps=count(1)):  # noqa: B008 (one counter per network)
            step, chosen = next(steps), original(features)
            rows.extend((step, which, layer, int(u)) for layer, us in enumerate(chosen) for u in us)
            return chosen

        units.replace_units = recorded
    return rows


def close(actual, expected, tolerance=1e-5):
    actual, expected = np.asarray(actual), np.asarray(expected)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * max(1e-3, np.abs(expected).max()))


@pytest.mark.parametrize("optimizer", [torch.optim.Adam, eager.Adam])
@pytest.mark.parametrize("case", CASES)
def test_training_matches_published_code(case, optimizer):
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
        with published_values(learner, values):
            change = learner.learn()["weight_change"]
        learner.post_learn()
        close(change, expected["weight_change"])
    for name, tensor in {**policy.state_dict(), **value.state_dict()}.items():
        close(tensor, ARRAYS[f"{case}/final/{name}"])
    np.testing.assert_array_equal(np.array(replaced).reshape(-1, 4), ARRAYS[f"{case}/replaced"])


@contextmanager
def published_values(learner, values):
    """Estimate advantages from the given values; tests/golden/README.md explains why."""
    estimate = learner.returns_and_advantages
    learner.returns_and_advantages = lambda rewards, dones, _: estimate(rewards, dones, values[:, 0])
    yield
    del learner.returns_and_advantages


def play(learner, expected):
    """Feed one published rollout, and check that the policy draws the same actions."""
    observations = [*expected["obs"], expected["next_obs_last"][0]]
    for t in range(64):
        action, log_probability, _ = learner.pol.action(torch.tensor(observations[t])[None])
        close(action[0], expected["actions"][t], 1e-4)
        close(log_probability[0, 0], expected["logp_old"][t, 0], 1e-4)
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
    """Check the values, and return the published ones; tests/golden/README.md explains the last one."""
    values = learner.vf.value(torch.tensor(np.concatenate((expected["obs"], expected["next_obs_last"]))))
    n = 65 if last else 64
    close(values[:n], expected["values"][:n])
    return torch.tensor(expected["values"])


def test_advantages_match_hand_computation():
    # delta = r + g (1 - d) V' - V = [1 + 0.5 * 2 - 1, 1 - 2, 1 + 0.5 * 4 - 3] = [1, -1, 0], g lambda = 0.25
    rewards, dones, values = np.ones(3), np.array([0.0, 1.0, 0.0]), np.array([1.0, 2.0, 3.0, 4.0])
    advantages = advantage_estimates(rewards, dones, values, gamma=0.5, gae_lambda=0.5)
    assert advantages.tolist() == [1 + 0.25 * -1, -1, 0]


def test_explained_variance_matches_hand_computation():
    targets = np.array([1.0, 2.0, 3.0, 4.0])
    assert explained_variance(targets, targets) == 1
    assert explained_variance(np.zeros(4), targets) == 0
    assert np.isnan(explained_variance(targets, np.ones(4)))


def test_advantages_are_normalised_per_minibatch_on_request(monkeypatch):
    learner, seen, maximum = full_learner(u_adv_scl=False, adv_scl_minibatch=True, no_clipping=True), [], torch.max
    played = (torch.from_numpy(array) for array in (learner.buf.observations, learner.buf.actions))
    learner.buf.log_probabilities[:] = learner.pol.logp_dist(*played)[0].detach()[:, 0]
    monkeypatch.setattr(ppo.torch, "max", lambda a, b: seen.append(-a) or maximum(a, b))
    learner.learn()
    advantages = seen[0].detach()  # the ratios of the first minibatch are 1
    assert (len(seen), len(advantages)) == (10 * 2, 8)
    close(advantages.mean(), 0, 1e-3)
    close(advantages.std(), 1)


def test_equal_advantages_are_normalised_to_zero():
    assert normalised(np.ones(4, np.float32)).tolist() == [0] * 4
    assert normalised(np.ones(1, np.float32)).tolist() == [0]
    close(normalised(np.array([1, 3], np.float32)), np.array([-1, 1]) / np.sqrt(2))


def test_one_update_matches_hand_computation():
    """One observation, one unit, one step of SGD; all weights are 1 and all biases 0."""
    policy, value = MLPPolicy(1, 1, act_type="ReLU", h_dim=(1,)), MLPVF(1, act_type="ReLU", h_dim=(1,))
    with torch.no_grad():
        for p in (*policy.parameters(), *value.parameters()):
            p.fill_(1.0 if p.ndim > 1 else 0.0)

    def sgd(parameters, lr, weight_decay, betas, eps):
        return torch.optim.SGD(parameters, lr=lr)

    learner = PPO(policy, Buffer(1, 1, 1), 0.1, 0.0, value, 0.0, sgd, n_itrs=1, n_slices=1, u_adv_scl=False)
    old = -0.5 * (3 - 2) ** 2 - 0.5 * np.log(2 * np.pi)  # action 3, mean 2, standard deviation 1
    learner.log([2.0], [3.0], 5.0, [0.0], old, None, True)
    metrics = learner.learn()
    # Return 5, value 2, advantage 3, ratio 1: d loss / d mean = -A (a - mean) = -3, d loss / d value = 2 (2 - 5) = -6.
    assert policy.mean_net[2].bias.item() == pytest.approx(0.1 * 3)
    assert policy.mean_net[2].weight.item() == pytest.approx(1 + 0.1 * 3 * 2)  # h = 2
    assert policy.mean_net[0].weight.item() == pytest.approx(1 + 0.1 * 3 * 1 * 2)  # o = 2
    assert policy.log_std.item() == pytest.approx(0.1 * 3 * ((3 - 2) ** 2 - 1), abs=1e-6)
    assert value.v_net[2].bias.item() == pytest.approx(0.1 * 6)
    assert metrics["policy_loss"] == pytest.approx(-3)
    assert metrics["value_loss"] == pytest.approx(9)
    assert metrics["approx_kl"] == metrics["clip_fraction"] == 0
    assert metrics["entropy"] == pytest.approx(0.5 * np.log(2 * np.pi * np.e))
    assert metrics["weight_change"] == pytest.approx(0.6 + 0.6)


@pytest.mark.parametrize(("advantage", "log_ratio", "clips"), [(1, 0.5, True), (1, -0.5, False), (-1, -0.5, True)])
def test_clipped_samples_do_not_change_the_policy(advantage, log_ratio, clips):
    torch.manual_seed(0)
    policy, value = networks()
    learner = PPO(
        policy, Buffer(6, 3, 1), 0.1, 0.0, value, 0.0, torch.optim.Adam, n_itrs=1, n_slices=1, u_adv_scl=False
    )
    o, a = torch.randn(1, 6), torch.randn(1, 3)
    with torch.no_grad():
        log_probability, reward = policy.logp_dist(o, a)[0].item(), value.value(o).item() + advantage
    learner.log(o[0], a[0], reward, o[0], log_probability - log_ratio, None, True)
    before = [p.detach().clone() for p in policy.parameters()]
    metrics = learner.learn()
    moved = any(not torch.equal(p, old) for p, old in zip(policy.parameters(), before, strict=True))
    assert moved != clips
    assert metrics["clip_fraction"] == 1


def full_learner(optimizer=torch.optim.Adam, **settings) -> PPO:
    """Return a learner with a full buffer, in which the last 4 of 10 components of each observation are zero."""
    torch.manual_seed(1)
    policy, value = networks(o_dim=10)
    settings = {"n_slices": 2, "wd": 0.1, "rng": np.random.default_rng(0)} | settings
    learner = PPO(policy, Buffer(10, 3, 16), 1e-2, 0.99, value, 0.95, optimizer, **settings)
    draws = np.random.default_rng(5)
    for t in range(16):
        o = np.concatenate((draws.normal(size=6), np.zeros(4)))
        learner.log(o, draws.normal(size=3), draws.normal(), o, draws.normal(), None, t == 9)
    return learner


@pytest.mark.parametrize("settings", [{}, {"max_grad_norm": 0.5}, {"pgnt": True, "mt": 2, "replacement_rate": 0.2}])
@pytest.mark.parametrize("optimizer", [torch.optim.Adam, eager.Adam])
def test_copies_and_learners_with_cleared_gradients_learn_the_same(optimizer, settings):
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


def shuffled_observations(learner) -> list[torch.Tensor]:
    """Return the observations of each minibatch of an update."""
    seen = []
    learner._step = lambda observations, *_: seen.append(observations) or torch.zeros(5)
    learner.learn()
    return seen


def test_without_a_generator_minibatches_have_the_published_order_for_a_seed_of_numpy():
    """Each epoch shuffles the indices of the previous epoch in place by NumPy's global generator."""
    learner = full_learner(rng=None)
    np.random.seed(3)  # noqa: NPY002
    seen = shuffled_observations(learner)
    rng, order, expected = np.random.RandomState(3), np.arange(16), []
    for _ in range(10):
        rng.shuffle(order)
        expected += [learner.buf.observations[rows] for rows in (order[:8], order[8:])]
    np.testing.assert_array_equal(np.stack(seen), np.stack(expected))
    assert np.random.rand() == rng.rand()  # noqa: NPY002 (no other numbers were drawn)


def test_a_given_generator_shuffles_minibatches_and_the_global_one_is_not_used():
    np.random.seed(3)  # noqa: NPY002
    first, second, other = (full_learner(rng=np.random.default_rng(seed)) for seed in (0, 0, 1))
    seen = [np.stack(shuffled_observations(learner)) for learner in (first, second, other)]
    np.testing.assert_array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])
    assert np.random.rand() == np.random.RandomState(3).rand()  # noqa: NPY002


@pytest.mark.parametrize("rng", [np.random.default_rng(0), None])
def test_resumed_learner_learns_like_an_uninterrupted_one(rng):
    settings = {"pgnt": True, "vgnt": True, "mt": 2, "replacement_rate": 0.2, "rng": rng}
    learner, resumed = full_learner(**settings), full_learner(**(settings | {"rng": rng and np.random.default_rng(9)}))
    learner.learn()
    resumed.load_state_dict(deepcopy(learner.state_dict()))
    for one in (learner, resumed):
        torch.manual_seed(2)
        np.random.seed(2)  # noqa: NPY002
        one.learn()
    for found, expected in zip(resumed.parameters, learner.parameters, strict=True):
        assert torch.equal(found, expected)


def test_log_probabilities_may_be_arrays_with_one_element_as_the_policy_returns_them():
    policy, _ = networks()
    o, buffer = np.zeros(6, np.float32), Buffer(6, 3, 2)
    action, log_probability, dist = policy.action(torch.from_numpy(o)[None])
    for value in (log_probability.numpy(), log_probability.item()):
        buffer.store(o, action[0].numpy(), 1.0, o, value, dist, False)
    assert buffer.log_probabilities.tolist() == [log_probability.item()] * 2


def test_full_buffer_drops_transitions_until_it_is_cleared():
    buffer = Buffer(1, 1, 2)
    for number in (1, 2, 3):
        buffer.store([number], [0], number, [number + 1], 0.0)
    assert (len(buffer), buffer.rewards.tolist(), buffer.next_observation.item()) == (2, [1, 2], 4)
    buffer.clear()
    assert len(buffer) == 0
    with refusal("bs", 0, error=ValueError):
        Buffer(1, 1, 0)


def test_policies_without_biases_are_perturbed():
    policy, vf = MLPPolicy(6, 3, h_dim=(4,), bias=False), MLPVF(6, h_dim=(4,))
    learner = PPO(policy, Buffer(6, 3, 1), 0.0, 0.9, vf, 0.9, torch.optim.Adam, n_slices=1, perturb_scale=0.1)
    before = policy.mean_net[0].weight.detach().clone()
    learner.log_update(np.zeros(6), np.zeros(3), 0.0, np.zeros(6), 0.0)
    assert (policy.mean_net[0].weight != before).all()


@pytest.mark.parametrize(
    ("argument", "value"),
    [("loss_type", "a2c"), ("n_slices", 0), ("n_slices", 17), ("replacement_rate", -1), ("move_mean_to_bias", True)],
)
def test_invalid_values_are_rejected(argument, value):
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


def test_u_epi_up_delays_updates_to_the_end_of_an_episode():
    policy, vf = networks()
    learner = PPO(policy, Buffer(6, 3, 4), 1e-3, 0.99, vf, 0.95, torch.optim.Adam, n_slices=2, u_epi_up=True)
    o = np.zeros(6)
    learned = [learner.log_update(o, np.zeros(3), 0.0, o, 0.0, None, t in (2, 6))["learned"] for t in range(7)]
    assert learned == [False] * 6 + [True]
