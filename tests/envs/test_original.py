"""Environments against the original simulator, mujoco-py, which runs in its own interpreter."""

import fcntl
import io
import os
import signal
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from refusals import refusal

from lop.common.paths import ROOT
from lop.envs import ENVIRONMENTS, environment_state, make, restore_environment
from lop.problems import PROBLEMS
from lop.rl import run_ppo
from lop.runs.command_line import main
from lop.runs.spec import resolve

GOLDEN = Path(__file__).parents[1] / "golden"
FRICTION = {"SlipperyAnt-v3": {"friction": 0.05}}


def test_error_without_the_legacy_interpreter_names_the_make_target(monkeypatch, tmp_path):
    python = tmp_path / "python"
    monkeypatch.setenv("LOP_ORIGINAL_PYTHON", str(python))
    with refusal("backend", "mujoco-py", python, "make legacy", "LOP_ORIGINAL_PYTHON"):
        make("Ant-v3", "mujoco-py")


@pytest.mark.parametrize(
    ("script", "fact"),
    [
        ("echo 'No module named gym' >&2\nexit 1", "No module named gym"),
        ("exit 3", "status 3"),
        ("kill -9 $$", "SIGKILL"),
    ],
)
def test_error_quotes_the_last_words_of_a_failed_interpreter(script, fact, monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setenv("LOP_ORIGINAL_PYTHON", str(python))
    with refusal("backend", "mujoco-py", python, fact):
        make("Ant-v3", "mujoco-py")


@pytest.mark.parametrize("name", ["Ant-v3", "Hopper-v3", "Walker2d-v3"])
def test_only_slippery_ant_has_a_friction(name):
    with refusal("friction", name, "SlipperyAnt-v3", error=ValueError):
        make(name, "mujoco-py", friction=0.5)


def test_unknown_backend_is_rejected():
    with refusal("backend", "bullet", "mujoco", "mujoco-py", error=ValueError):
        make("Ant-v3", "bullet")


def test_only_runs_with_mujoco_py_depend_on_the_code_of_that_backend():
    ours, theirs = (
        resolve(PROBLEMS["rl"], "ant/std", 0, "smoke", overrides={"backend": backend}).identity["code"]
        for backend in ("mujoco", "mujoco-py")
    )
    assert theirs.keys() - ours.keys() == {"lop.envs.original", "lop.envs.original_worker"}


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Build the interpreter with `make legacy`, unless LOP_ORIGINAL_PYTHON names one."""
    if "LOP_ORIGINAL_PYTHON" in os.environ:
        return
    with open(tmp_path_factory.getbasetemp().parent / "legacy.lock", "w") as one_at_a_time:
        fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
        made = subprocess.run(["make", "legacy"], cwd=ROOT, capture_output=True, text=True)
    if made.stdout.startswith("missing: Python"):
        pytest.skip(made.stdout.strip())
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.fixture
def both(original, request):
    ours, theirs = (
        make(request.param, backend, **FRICTION.get(request.param, {})) for backend in ("mujoco", "mujoco-py")
    )
    yield ours, theirs
    ours.close()
    theirs.close()


@pytest.mark.slow
@pytest.mark.parametrize("both", ENVIRONMENTS, indirect=True)
def test_trajectories_of_both_simulators_agree(both):
    """Initial states are bit-identical; one step agrees within 1e-12, fifty steps within 1e-9."""
    ours, theirs = both
    rng = np.random.default_rng(0)
    assert ours.action_space == theirs.action_space
    assert ours.observation_space == theirs.observation_space
    for seed in range(3):
        start, expected = ours.reset(seed=seed)[0], theirs.reset(seed=seed)[0]
        np.testing.assert_array_equal(start, expected)
        for step in range(50):
            action = rng.normal(size=ours.action_space.shape).astype(np.float32)
            found, expected = ours.step(action), theirs.step(action)
            tolerance = 1e-12 if step == 0 else 1e-9
            np.testing.assert_allclose(found[0], expected[0], atol=tolerance, rtol=0)
            assert found[1] == pytest.approx(expected[1], abs=tolerance)
            assert found[2:4] == expected[2:4]
            assert found[4] == pytest.approx(expected[4], abs=tolerance)
            if found[2]:  # the random generators are in the same state
                np.testing.assert_array_equal(ours.reset()[0], theirs.reset()[0])


@pytest.mark.slow
@pytest.mark.parametrize("both", ENVIRONMENTS, indirect=True)
def test_original_simulator_resumes_exactly(both):
    """Resume in a new process, from a file, within an episode; the initial states of later episodes are equal too."""
    _, theirs = both
    actions = np.random.default_rng(0).normal(size=(160, *theirs.action_space.shape)).astype(np.float32)

    def steps(env, actions):
        for action in actions:
            observation, reward, ended, _, info = env.step(action)
            yield [*observation, reward, *info.values()]
            if ended:
                yield [*env.reset()[0], 0.0, *[0.0] * len(info)]

    theirs.reset(seed=1)
    list(steps(theirs, actions[:20]))
    file = io.BytesIO()
    torch.save(environment_state(theirs), file)
    expected = list(steps(theirs, actions[20:]))

    new = make(theirs.unwrapped.name, "mujoco-py")
    file.seek(0)
    restore_environment(new, torch.load(file, weights_only=True))
    np.testing.assert_array_equal(list(steps(new, actions[20:])), expected)
    new.close()


@pytest.mark.slow
@pytest.mark.parametrize("both", ENVIRONMENTS, indirect=True)
def test_original_simulator_matches_recorded_numbers(both):
    _, theirs = both
    env = theirs.unwrapped
    with np.load(GOLDEN / f"{env.name}.npz") as arrays:
        golden = dict(arrays)
    env.reset(seed=0)
    still = env.state_dict()

    def put(qpos, qvel):
        state = still | {"qpos": qpos.tolist(), "qvel": qvel.tolist()}
        state["xpos"][1] = qpos[:3].tolist()  # position of the torso, from which Ant computes its reward
        env.load_state_dict(state)

    for i, action in enumerate(golden["actions"][: len(golden["onestep_qpos_in"])]):
        put(golden["onestep_qpos_in"][i], golden["onestep_qvel_in"][i])
        env.step(action)
        state = env.state_dict()
        np.testing.assert_allclose(state["qpos"], golden["onestep_qpos_out"][i], atol=1e-12, rtol=0)
        np.testing.assert_allclose(state["qvel"], golden["onestep_qvel_out"][i], atol=1e-10, rtol=0)

    for t in range(50):
        if golden["restarted_before"][t]:
            put(golden["qpos0"], golden["qvel0"])
        observation, reward, terminated, _, info = env.step(golden["actions"][t])
        recorded = golden["obs"][t]
        np.testing.assert_allclose(observation[: len(recorded)], recorded, atol=1e-9, rtol=0)
        assert terminated == golden["done"][t]
        assert reward == pytest.approx(golden["reward"][t], abs=1e-9)
        assert info == pytest.approx({key: golden[f"info_{key}"][t] for key in info}, abs=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("both", ["Hopper-v3"], indirect=True)
def test_state_of_another_environment_is_rejected_and_changes_nothing(both):
    ours, theirs = both
    theirs.reset(seed=0)
    before = environment_state(theirs)
    walker = make("Walker2d-v3", "mujoco-py")
    for foreign in (ours, walker):
        state = environment_state(foreign)
        with refusal("state", state["environment"].get("original"), "Hopper-v3", error=ValueError):
            restore_environment(theirs, state)
    assert environment_state(theirs) == before
    walker.close()


@pytest.mark.slow
@pytest.mark.parametrize("both", ["SlipperyAnt-v3"], indirect=True)
def test_set_friction_applies_to_later_steps(both):
    ours, theirs = both
    for env in both:
        env.unwrapped.set_friction(1.7)
        env.reset(seed=5)
    assert theirs.unwrapped.friction == 1.7
    for action in np.random.default_rng(1).normal(size=(20, 8)).astype(np.float32):
        np.testing.assert_allclose(ours.step(action)[0], theirs.step(action)[0], atol=1e-9, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize("both", ["Ant-v3"], indirect=True)
def test_wrong_action_and_killed_simulator_are_reported(both):
    _, theirs = both
    theirs.reset(seed=0)
    with refusal("action", (3,), (8,), error=ValueError):
        theirs.step(np.zeros(3))
    theirs.unwrapped._process.kill()
    with refusal("backend", "mujoco-py", "SIGKILL"):
        theirs.step(np.zeros(8))


@pytest.mark.slow
@pytest.mark.parametrize("both", ["Hopper-v3"], indirect=True)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_simulator_process_survives_sigint_and_sigterm(both, number):
    _, theirs = both
    theirs.reset(seed=0)
    theirs.unwrapped._process.send_signal(number)
    theirs.step(np.zeros(3, np.float32))
    assert environment_state(theirs)["elapsed_steps"] == [1]


@pytest.mark.slow
def test_first_episode_of_a_run_is_the_same_with_both_simulators(original, tmp_path):
    """Later episodes differ because of rounding."""
    returns = []
    for backend in ("mujoco", "mujoco-py"):
        arguments = ["-c", str(ROOT / "lop/rl/cfg/sant/std.yml"), "--backend", backend]
        arguments += ["--n_steps", "1000", "--results", str(tmp_path / backend)]
        main(run_ppo.PROBLEM, run_ppo.__doc__, run_ppo.train, arguments)
        (path,) = (tmp_path / backend).glob("rl/**/metrics-*.parquet")
        table = pq.read_table(path).to_pandas()
        returns.append(table[table["metric"] == "return"]["value"].to_numpy())
    np.testing.assert_allclose(*(found[:1] for found in returns), rtol=1e-6)
