"""The environments against numbers recorded from the original stack: gym 0.23.1, mujoco-py, MuJoCo 2.1."""

import gymnasium
import mujoco
import numpy as np
import pytest
from conftest import GOLDEN

import lop.envs  # noqa: F401 (registers)

KEYWORDS = {"Ant-v3": {}, "SlipperyAnt-v3": {"friction": 0.05}, "Hopper-v3": {}, "Walker2d-v3": {}}
CONSTANTS = ("body_mass", "body_inertia", "body_ipos", "dof_invweight0", "body_invweight0", "geom_friction")


@pytest.fixture(params=KEYWORDS)
def case(request):
    with np.load(GOLDEN / f"{request.param}.npz") as arrays:
        return gymnasium.make(request.param, **KEYWORDS[request.param]).unwrapped, dict(arrays)


def put(env, qpos, qvel):
    mujoco.mj_resetData(env.model, env.data)
    env.set_state(qpos, qvel)


@pytest.mark.parametrize("constant", CONSTANTS)
def test_compiled_models(case, constant):
    env, golden = case
    np.testing.assert_allclose(getattr(env.model, constant), golden[f"model_{constant}"], rtol=0, atol=1e-12)


def test_single_steps(case):
    env, golden = case
    for i, action in enumerate(golden["onestep_actions"]):
        put(env, golden["onestep_qpos_in"][i], golden["onestep_qvel_in"][i])
        env.step(action)
        np.testing.assert_allclose(env.data.qpos, golden["onestep_qpos_out"][i], rtol=0, atol=1e-10)
        np.testing.assert_allclose(env.data.qvel, golden["onestep_qvel_out"][i], rtol=0, atol=1e-10)


def test_trajectories(case):
    env, golden = case
    for t in range(50):
        if golden["restarted_before"][t]:
            put(env, golden["qpos0"], golden["qvel0"])
            np.testing.assert_allclose(env._observation(), golden["obs0"], rtol=0, atol=1e-12)
        observation, reward, terminated, truncated, info = env.step(golden["actions"][t])
        recorded = golden["obs"][t]  # Ant's without its zeros
        np.testing.assert_allclose(observation[: len(recorded)], recorded, rtol=0, atol=1e-8)
        assert not observation[len(recorded) :].any()
        assert reward == pytest.approx(golden["reward"][t], abs=1e-8)
        assert (terminated, truncated) == (golden["done"][t], False)
        expected = {key.removeprefix("info_"): golden[key][t] for key in golden if key.startswith("info_")}
        assert info == pytest.approx(expected, abs=1e-8)
