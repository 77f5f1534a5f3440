"""Environments resume from a saved state with bit-identical results."""

import copy
import io

import gymnasium
import numpy as np
import pytest
import torch
from refusals import refusal

from lop.envs import ResumableEnvironment, environment_state, restore_environment

NAMES = ("Ant-v3", "SlipperyAnt-v3", "Hopper-v3", "Walker2d-v3")


def drive(env, actions):
    """Return all outputs of the environment for `actions`, episode after episode."""
    rows = []
    for action in actions:
        observation, reward, terminated, truncated, info = env.step(action)
        rows.append([*observation, reward, terminated, truncated, *info.values()])
        if terminated or truncated:
            rows[-1] += [*env.reset()[0]]
    return rows


def moved(name, scale=1.0, steps=137):
    env = gymnasium.make(name)
    env.reset(seed=3)
    rng = np.random.default_rng(0)
    actions = rng.normal(scale=scale, size=(steps + 300, *env.action_space.shape)).astype(np.float32)
    drive(env, actions[:steps])
    return env, actions[steps:]


def through_a_file(state):
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("name", NAMES)
def test_new_environment_resumes_from_a_saved_state(name):
    env, actions = moved(name)
    state = through_a_file(environment_state(env))
    expected = drive(env, actions)
    assert any(row[-1] != expected[0][-1] for row in expected)
    new = gymnasium.make(name)
    restore_environment(new, state)
    assert drive(new, actions) == expected


def test_elapsed_steps_of_the_time_limit_are_restored():
    env, actions = moved("Ant-v3", scale=0.05, steps=900)
    state = environment_state(env)
    expected = drive(env, actions)
    assert sum(len(row) > len(expected[0]) for row in expected) == 1  # one episode reaches the limit
    new = ResumableEnvironment(gymnasium.make("Ant-v3"))
    new.load_state_dict(state)
    assert drive(new.env, actions) == expected


def test_state_can_be_saved_before_the_first_reset():
    state = through_a_file(environment_state(gymnasium.make("Hopper-v3")))
    restore_environment(gymnasium.make("Hopper-v3"), state)


def test_friction_is_part_of_the_state():
    slippery = gymnasium.make("SlipperyAnt-v3", friction=0.03)
    other = gymnasium.make("SlipperyAnt-v3")
    restore_environment(other, environment_state(slippery))
    assert other.unwrapped.friction == 0.03
    assert np.array_equal(other.unwrapped.model.geom_friction, slippery.unwrapped.model.geom_friction)


def test_copies_have_their_own_simulation():
    env, actions = moved("SlipperyAnt-v3")
    twin = copy.deepcopy(env)
    expected = drive(env, actions)
    assert drive(twin, actions) == expected


def test_state_of_another_environment_is_rejected():
    state, other = (environment_state(gymnasium.make(name)) for name in ("Hopper-v3", "Walker2d-v3"))
    found, allowed = (len(one["environment"]["integration"]) for one in (state, other))
    with refusal("state", found, allowed, error=ValueError):
        restore_environment(gymnasium.make("Walker2d-v3"), state)
    with refusal("state", 1, 0, error=ValueError):  # one time limit in the state, none in the environment
        restore_environment(gymnasium.make("Hopper-v3").unwrapped, state)


def test_environments_of_other_packages_are_rejected():
    with refusal("env", *NAMES, "CartPoleEnv", error=ValueError):
        environment_state(gymnasium.make("CartPole-v1"))
