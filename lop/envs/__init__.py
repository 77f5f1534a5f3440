"""Environments of the paper, registered with Gymnasium: Ant-v3, Hopper-v3, Walker2d-v3 and SlipperyAnt-v3.

Example::

    import gymnasium, lop.envs
    env = gymnasium.make("Ant-v3")
    env = lop.envs.make("Ant-v3", backend="mujoco-py")  # original physics engine: see lop.envs.original

They replace Gymnasium's entries of the same names, which only raise an error that refers to another package.
"""

from lop.common.extras import require

require("rl")

import importlib
import warnings
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import gymnasium
from gymnasium.wrappers import TimeLimit

from lop._compat import elapsed_steps, set_elapsed_steps
from lop.envs.ant import AntEnv
from lop.envs.hopper import HopperEnv
from lop.envs.slippery_ant import SlipperyAnt
from lop.envs.walker2d import Walker2dEnv

__all__ = [
    "AntEnv",
    "HopperEnv",
    "ResumableEnvironment",
    "SlipperyAnt",
    "Walker2dEnv",
    "environment_state",
    "make",
    "restore_environment",
]

ENVIRONMENTS = {
    "Ant-v3": AntEnv,
    "Hopper-v3": HopperEnv,
    "Walker2d-v3": Walker2dEnv,
    "SlipperyAnt-v3": SlipperyAnt,
}


TIME_LIMIT = 1000  # steps


@runtime_checkable
class Simulation(Protocol):
    """Environment whose state can be saved."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def make(name: str, backend: str = "mujoco", **arguments: Any) -> gymnasium.Env:
    """Create an environment of the paper with its time limit.

    Args:
        name: name of the environment, a key of `ENVIRONMENTS`.
        backend: `mujoco`, current MuJoCo adjusted to reproduce the original physics up to rounding, or `mujoco-py`, the
            original engine.
        arguments: arguments of the environment; with `mujoco-py` only `friction`.

    Raises:
        ValueError: If the backend is unknown.
    """
    if backend == "mujoco":
        return gymnasium.make(name, **arguments)
    if backend != "mujoco-py":
        raise ValueError(f"backend must be mujoco or mujoco-py, got {backend!r}")
    original = importlib.import_module("lop.envs.original")  # keeps it out of the imports of other runs
    return TimeLimit(original.OriginalEnv(name, **arguments), TIME_LIMIT)


def _register() -> None:
    for name, environment in ENVIRONMENTS.items():
        gymnasium.registry.pop(name, None)
        gymnasium.register(
            name,
            entry_point=f"{environment.__module__}:{environment.__qualname__}",
            max_episode_steps=TIME_LIMIT,
            # These checks would slow down every step.
            order_enforce=False,
            disable_env_checker=True,
        )
    # Gymnasium recommends v5, which has different physics.
    advice = r".*The environment (Ant|Hopper|Walker2d)-v3 is out of date"
    warnings.filterwarnings("ignore", advice, DeprecationWarning)


_register()


def environment_state(env: gymnasium.Env) -> dict[str, Any]:
    """Return the complete state of an environment as plain Python values, for bit-identical continuation.

    Args:
        env: environment of the paper, which may be wrapped. The state includes time limits, but not other wrappers.

    Raises:
        ValueError: If `env` is not an environment of the paper.
    """
    elapsed = [elapsed_steps(limit) for limit in _time_limits(env)]
    return {"environment": _simulation(env).state_dict(), "elapsed_steps": elapsed}


def restore_environment(env: gymnasium.Env, state: dict[str, Any]) -> None:
    """Restore a state that `environment_state` returned.

    Args:
        env: environment that was created with the same arguments.
        state: state.

    Raises:
        ValueError: If the state does not fit the environment.
    """
    limits = list(_time_limits(env))
    if len(limits) != len(state["elapsed_steps"]):
        raise ValueError(f"state must have {len(limits)} time limits, got {len(state['elapsed_steps'])}")
    _simulation(env).load_state_dict(state["environment"])
    for limit, steps in zip(limits, state["elapsed_steps"], strict=True):
        set_elapsed_steps(limit, steps)


def _simulation(env: gymnasium.Env) -> Simulation:
    if not isinstance(env.unwrapped, Simulation):
        raise ValueError(f"env must be one of {', '.join(ENVIRONMENTS)}, got {env}")
    return env.unwrapped


def _time_limits(env: gymnasium.Env) -> Iterator[TimeLimit]:
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, TimeLimit):
            yield env
        env = env.env


class ResumableEnvironment:
    """Adapter with `state_dict` and `load_state_dict` for an environment."""

    def __init__(self, env: gymnasium.Env):
        self.env = env

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the environment; see `environment_state`."""
        return environment_state(self.env)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore a state of the environment; see `restore_environment`."""
        restore_environment(self.env, state)
