"""Original environments, gym 0.23.1 on mujoco-py and MuJoCo 2.1.

They require Python 3.10 or older. They therefore run in a separate process, with an interpreter that `make legacy`
installs.
"""

import json
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from lop.common.errors import InputError
from lop.common.paths import ROOT, shown
from lop.envs import original_worker
from lop.envs.mujoco_env import number

INTERPRETER = "LOP_ORIGINAL_PYTHON"  # environment variable with the path of another interpreter
WORKER = Path(original_worker.__file__)
SLIPPERY = "SlipperyAnt-v3"


def interpreter() -> Path:
    """Return the path of the Python interpreter with the original environments.

    Raises:
        InputError: If it does not exist.
    """
    path = Path(os.environ.get(INTERPRETER) or ROOT / ".legacy" / "bin" / "python")
    if not path.is_file():
        raise InputError(
            f"backend: mujoco-py requires a separate interpreter: {shown(path)}: no such file; run `make legacy` in "
            f"{ROOT} to install it, or set {INTERPRETER} to another one"
        )
    return path


class OriginalEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """Ant-v3, Hopper-v3 or Walker2d-v3 of gym 0.23.1; SlipperyAnt-v3 is its Ant with another friction.

    Observations, actions, rewards, the effect of seeds and the methods are those of `lop.envs.mujoco_env.MujocoEnv`.

    Args:
        name: name of the environment.
        friction: sliding friction of all geoms; SlipperyAnt-v3 only.

    Raises:
        InputError: If the interpreter does not exist, or the original environment does not start in it.
        ValueError: If `friction` is given for another environment, or is out of range.
    """

    def __init__(self, name: str, friction: float | None = None):
        if friction is not None:
            _must_be_slippery(name)
        self.name, self._errors = name, tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as the process)
        command = [str(interpreter()), str(WORKER), name]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors, env=_own_environment()
        )
        about = json.loads(self._answer())
        self.dt, self._info = about["dt"], about["info"]
        low, high = (np.array(about[end], np.float32) for end in ("low", "high"))
        self.action_space = Box(low, high, dtype=np.float32)
        self._observed = about["observation"]
        self.observation_space = Box(-np.inf, np.inf, (self._observed,), np.float64)
        if name == SLIPPERY:
            self.set_friction(1.5 if friction is None else friction)

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Start an episode.

        Args:
            seed: seed of the environment's generator; None continues with the current one.
            options: ignored.

        Returns:
            Observation, and an empty dict.
        """
        return np.frombuffer(self._ask(b"r", json.dumps(seed).encode())).copy(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Simulate one step.

        Args:
            action: action, of the shape of `action_space`.

        Returns:
            Observation, reward, terminated, False, and a dict with the terms of the reward.
        """
        action = np.asarray(action, np.float32)
        if action.shape != self.action_space.shape:
            raise ValueError(f"action must have shape {self.action_space.shape}, got {action.shape}")
        numbers, n = np.frombuffer(self._ask(b"s", action.tobytes())), self._observed
        info = dict(zip(self._info, numbers[n + 2 :].tolist(), strict=True))
        return numbers[:n].copy(), float(numbers[n]), bool(numbers[n + 1]), False, info

    @property
    def friction(self) -> float:
        """Sliding friction of the current simulation; SlipperyAnt-v3 only."""
        _must_be_slippery(self.name)
        return self._friction

    def set_friction(self, friction: float) -> None:
        """Change the friction from the next step on.

        Args:
            friction: sliding friction of all geoms, non-negative.

        Raises:
            ValueError: If the environment is not SlipperyAnt-v3, or `friction` is out of range.
        """
        _must_be_slippery(self.name)
        self._friction = number("friction", friction, at_least=0)
        self._ask(b"f", np.array([self._friction]).tobytes())

    def state_dict(self) -> dict[str, Any]:
        """Return the complete state as plain Python values, for bit-identical continuation."""
        state = {"original": self.name} | json.loads(self._ask(b"g"))
        return state | ({"friction": self._friction} if self.name == SLIPPERY else {})

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned, in this process or in another one.

        Args:
            state: state.

        Raises:
            ValueError: If the state is of another environment.
        """
        if (found := state.get("original")) != self.name:
            raise ValueError(f"state must be of the original {self.name}, got {found}")
        if self.name == SLIPPERY:
            self.set_friction(state["friction"])
        self._ask(b"p", json.dumps(state).encode())

    def close(self) -> None:
        """Terminate the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _ask(self, letter: bytes, payload: bytes = b"") -> bytes:
        assert self._process.stdin
        try:
            self._process.stdin.write(original_worker.HEADER.pack(letter, len(payload)) + payload)
            self._process.stdin.flush()
        except OSError:
            pass  # `_answer` reports why the process ended
        return self._answer()

    def _answer(self) -> bytes:
        assert self._process.stdout
        header = self._process.stdout.read(original_worker.HEADER.size)
        if len(header) < original_worker.HEADER.size:
            raise InputError(f"backend: mujoco-py: {interpreter()} ended: {self._last_words()}")
        letter, size = original_worker.HEADER.unpack(header)
        payload = self._process.stdout.read(size)
        if letter == b"e":
            raise RuntimeError(f"{self.name} of gym 0.23.1: {payload.decode()}")
        return payload

    def _last_words(self) -> str:
        status = self._process.wait()
        if status < 0:
            return f"killed by {signal.Signals(-status).name}"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"status {status}"


def _must_be_slippery(name: str) -> None:
    if name != SLIPPERY:
        raise ValueError(f"friction must not be set for {name}, only for {SLIPPERY}")


def _own_environment() -> dict[str, str]:
    """Return environment variables without our interpreter's paths, for mujoco-py as `make legacy` built it."""
    ours = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in ours} | {"MUJOCO_PY_FORCE_CPU": "1"}
