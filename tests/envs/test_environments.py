"""What users of the environments rely on, and exact resuming."""

import io
import warnings

import gymnasium
import mujoco
import numpy as np
import pytest
import torch

import lop.envs
from lop.envs import ResumableEnvironment, mujoco_env

SIZES = {"Ant-v3": (111, 8), "SlipperyAnt-v3": (111, 8), "Hopper-v3": (11, 3), "Walker2d-v3": (17, 6)}


@pytest.mark.parametrize("name", SIZES)
def test_made_by_its_published_name_without_a_warning(name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=f".*The environment {name} is out of date")  # as on import
        env = gymnasium.make(name)
    assert (env.observation_space.shape[0], env.action_space.shape[0]) == SIZES[name]
    observation, _ = env.reset(seed=0)
    assert observation.dtype == np.float64
    assert env.observation_space.contains(observation)
    with pytest.raises(ValueError, match="shape"):
        env.step(np.zeros(2))


@pytest.mark.parametrize("name", SIZES)
def test_a_seed_draws_as_gym_did(name):
    env = gymnasium.make(name).unwrapped
    env.reset(seed=7)
    rng, u = np.random.Generator(np.random.PCG64(np.random.SeedSequence(7))), env
    scale = 0.1 if "Ant" in name else 5e-3
    qpos = u.init_qpos + rng.uniform(-scale, scale, u.model.nq)
    noise = rng.standard_normal(u.model.nv) * scale if "Ant" in name else rng.uniform(-scale, scale, u.model.nv)
    if "Ant" in name:
        qpos[3:7] /= np.linalg.norm(qpos[3:7])
    np.testing.assert_allclose(u.data.qpos, qpos, rtol=1e-14, atol=1e-16)
    np.testing.assert_allclose(u.data.qvel, u.init_qvel + noise, rtol=1e-14)


def test_episodes_end_by_falling_or_after_a_thousand_steps():
    env = gymnasium.make("Ant-v3")
    env.reset(seed=0)
    for step in range(1, 1001):
        _, _, terminated, truncated, _ = env.step(np.zeros(8))
        assert (terminated, truncated) == (False, step == 1000)
    env.reset(seed=0)
    u = env.unwrapped
    u.set_state(u.init_qpos + np.eye(15)[2], u.init_qvel)  # torso above 1 m
    assert env.step(np.zeros(8))[2]


@pytest.mark.parametrize("name", SIZES)
def test_positions_can_be_observed(name):
    env = gymnasium.make(name, exclude_current_positions_from_observation=False)
    observation, _ = env.reset(seed=0)
    nq = env.unwrapped.model.nq
    np.testing.assert_array_equal(observation[:nq], env.unwrapped.data.qpos)
    assert len(observation) == SIZES[name][0] + (2 if "Ant" in name else 1)


def drive(env, steps, actions, after=lambda t: None):
    rows = []
    for t, action in zip(range(steps), actions, strict=False):
        observation, reward, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            observation, _ = env.reset()
        rows.append([*observation, reward, terminated, truncated])
        after(t)
    return np.array(rows, dtype=float)


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("at", [1, 137, 1050])
def test_resumes_bit_for_bit_in_a_new_environment(name, at):
    rng = np.random.default_rng(1)
    # Ant lies still for long under small actions, so that the time limit is reached too.
    actions = rng.normal(scale=0.05 if "Ant" in name else 1.0, size=(1400, SIZES[name][1])).astype(np.float32)
    whole = gymnasium.make(name)
    whole.reset(seed=3)
    expected = drive(whole, 1400, actions)
    assert expected[:, -2:].any()

    first = gymnasium.make(name)
    first.reset(seed=3)
    drive(first, at, actions)
    file = io.BytesIO()
    torch.save(ResumableEnvironment(first).state_dict(), file)
    file.seek(0)
    second = gymnasium.make(name)
    second.reset(seed=99)
    drive(second, 3, actions)
    ResumableEnvironment(second).load_state_dict(torch.load(file, weights_only=True))
    assert np.array_equal(drive(second, 1400 - at, actions[at:]), expected[at:])


def test_friction_changes_on_the_living_environment():
    actions = np.random.default_rng(0).normal(size=(100, 8))
    made, changed = (gymnasium.make("SlipperyAnt-v3", friction=f) for f in (0.05, 1.0))
    changed.unwrapped.set_friction(0.05)
    for env in (made, changed):
        env.reset(seed=0)
    assert np.array_equal(drive(made, 100, actions), drive(changed, 100, actions))
    other = gymnasium.make("SlipperyAnt-v3", friction=1.0)
    other.reset(seed=0)
    state = ResumableEnvironment(changed).state_dict()
    ResumableEnvironment(other).load_state_dict(state)
    assert other.unwrapped.friction == 0.05


@pytest.mark.parametrize("friction", [-1, float("nan"), float("inf")])
def test_impossible_friction_is_named(friction):
    with pytest.raises(ValueError, match=f"Invalid friction: {friction}"):
        lop.envs.SlipperyAntEnv(friction=friction)


def test_a_state_of_the_wrong_shape_is_refused():
    env = gymnasium.make("Hopper-v3").unwrapped
    with pytest.raises(ValueError, match=r"Invalid state: shapes \(5,\), \(6,\)"):
        env.set_state(np.zeros(5), np.zeros(6))


def test_another_mujoco_is_refused(monkeypatch):
    monkeypatch.setattr(mujoco_env.mujoco, "__version__", "3.5.0")
    with pytest.raises(RuntimeError, match=r"mujoco: found 3\.5\.0, required: 3\.4\.0"):
        lop.envs.AntEnv()


def test_data_and_model_are_the_simulations_own():
    env = gymnasium.make("Ant-v3").unwrapped
    assert isinstance(env.model, mujoco.MjModel)
    assert isinstance(env.data, mujoco.MjData)
    assert env.dt == pytest.approx(0.05)
    assert env.state_vector().shape == (29,)
