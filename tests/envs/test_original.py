"""The original simulator beside ours, live."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lop.envs import ENVIRONMENTS, environment_state, make, restore_environment
from lop.errors import InputError
from lop.paths import ROOT

OLD = [*(Path.home() / ".pyenv" / "versions").glob("3.10.*/bin/python"), Path("/usr/bin/python3.10")]
FRICTION = {"SlipperyAnt-v3": {"friction": 0.05}}


def test_without_the_old_interpreter_it_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("LOP_ORIGINAL_PYTHON", str(tmp_path / "python"))
    with pytest.raises(InputError, match=r"mujoco-py needs an interpreter of its own: .*: no such file; `make legacy`"):
        make("Ant-v3", "mujoco-py")


def test_an_interpreter_without_the_simulator_tells_its_last_words(monkeypatch, tmp_path):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'No module named gym' >&2\nexit 1\n")
    python.chmod(0o755)
    monkeypatch.setenv("LOP_ORIGINAL_PYTHON", str(python))
    with pytest.raises(InputError, match=r"python ended: No module named gym$"):
        make("Ant-v3", "mujoco-py")


def test_an_unknown_backend_is_told():
    with pytest.raises(ValueError, match=r"Invalid backend: 'bullet' \(allowed: mujoco, mujoco-py\)"):
        make("Ant-v3", "bullet")


@pytest.fixture(scope="module")
def original():
    """The interpreter, made by the command that users type; or one that LOP_ORIGINAL_PYTHON names."""
    if "LOP_ORIGINAL_PYTHON" not in os.environ:
        if not any(python.exists() for python in OLD):
            pytest.skip("no Python 3.10 here, which the original simulator needs")
        subprocess.run(["make", "legacy"], cwd=ROOT, check=True)


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
def test_trajectories_agree(both):
    """The same initial states to the bit; one step within 1e-12, fifty within 1e-9."""
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
            if found[2]:  # the generators go on alike
                np.testing.assert_array_equal(ours.reset()[0], theirs.reset()[0])


@pytest.mark.slow
@pytest.mark.parametrize("both", ENVIRONMENTS, indirect=True)
def test_the_original_goes_on_from_a_saved_state(both):
    _, theirs = both
    actions = np.random.default_rng(0).normal(size=(60, *theirs.action_space.shape)).astype(np.float32)

    def steps():
        for action in actions[20:]:
            observation, reward, ended, *_ = theirs.step(action)
            yield [*observation, reward]
            if ended:
                yield [*theirs.reset()[0], 0.0]

    theirs.reset(seed=1)
    for action in actions[:20]:
        if theirs.step(action)[2]:
            theirs.reset()
    state = environment_state(theirs)
    first = list(steps())
    restore_environment(theirs, state)
    np.testing.assert_array_equal(list(steps()), first)


@pytest.mark.slow
@pytest.mark.parametrize("both", ["Ant-v3"], indirect=True)
def test_mistakes_and_a_killed_simulator_are_told(both):
    _, theirs = both
    theirs.reset(seed=0)
    with pytest.raises(ValueError, match=r"Invalid action: shape \(3,\) \(allowed: \(8,\)\)"):
        theirs.step(np.zeros(3))
    theirs.unwrapped._process.kill()
    with pytest.raises(InputError, match=r"backend: mujoco-py: .* ended: "):
        theirs.step(np.zeros(8))


@pytest.mark.slow
def test_a_run_on_the_original_begins_as_on_ours(original, tmp_path):
    """The first episodes are the same; then rounding makes another course of them."""
    returns = []
    for backend in ("mujoco", "mujoco-py"):
        command = ["-m", "lop.rl.run_ppo", "-c", str(ROOT / "lop/rl/cfg/sant/std.yml"), "--backend", backend]
        command += ["--n_steps", "1000", "--results", str(tmp_path / backend)]
        subprocess.run([sys.executable, *command], check=True, capture_output=True)
        (path,) = (tmp_path / backend).glob("paper/**/metrics.parquet")
        table = pq.read_table(path).to_pandas()
        returns.append(table[table["metric"] == "return"]["value"].to_numpy())
    np.testing.assert_allclose(*(found[:1] for found in returns), rtol=1e-6)
