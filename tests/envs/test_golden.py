"""Environments against numbers recorded with gym 0.23.1, mujoco-py and MuJoCo 2.1."""

from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import pytest

import lop.envs  # noqa: F401 (registers the environments)

GOLDEN = Path(__file__).parents[1] / "golden"
ARGUMENTS = {"Ant-v3": {}, "SlipperyAnt-v3": {"friction": 0.05}, "Hopper-v3": {}, "Walker2d-v3": {}}


@pytest.fixture(params=ARGUMENTS)
def case(request):
    env = gymnasium.make(request.param, **ARGUMENTS[request.param]).unwrapped
    with np.load(GOLDEN / f"{request.param}.npz") as arrays:
        return env, dict(arrays)


def put(env, qpos, qvel):
    mujoco.mj_resetData(env.model, env.data)
    env.set_state(qpos, qvel)


def close(actual, expected, tolerance):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def test_model_matches_the_recorded_one(case):
    env, golden = case
    for key in golden:
        if key.startswith("model_"):
            close(getattr(env.model, key.removeprefix("model_")), golden[key], 1e-12)


def test_initial_state_matches_the_recorded_one(case):
    env, golden = case
    assert np.array_equal(env.init_qpos, golden["init_qpos"])
    assert np.array_equal(env.init_qvel, golden["init_qvel"])


def test_single_steps_match_recorded_steps(case):
    env, golden = case
    for i, qpos in enumerate(golden["onestep_qpos_in"]):
        put(env, qpos, golden["onestep_qvel_in"][i])
        env.step(golden["actions"][i])
        close(env.data.qpos, golden["onestep_qpos_out"][i], 1e-10)
        close(env.data.qvel, golden["onestep_qvel_out"][i], 1e-10)


def test_trajectory_matches_the_recorded_one(case):
    env, golden = case
    for t in range(50):
        if golden["restarted_before"][t]:
            put(env, golden["qpos0"], golden["qvel0"])
        observation, reward, terminated, truncated, info = env.step(golden["actions"][t])
        recorded = golden["obs"][t]
        close(observation[: len(recorded)], recorded, 1e-8)
        assert not observation[len(recorded) :].any()  # Ant's contact forces
        assert (terminated, truncated) == (golden["done"][t], False)
        close(reward, golden["reward"][t], 1e-8)
        assert {f"info_{key}" for key in info} == {key for key in golden if key.startswith("info_")}
        close(list(info.values()), [golden[f"info_{key}"][t] for key in info], 1e-8)
