"""The environments of the paper, registered with Gymnasium: Ant-v3, Hopper-v3, Walker2d-v3, SlipperyAnt-v3.

    import gymnasium, lop.envs
    env = gymnasium.make("Ant-v3")
    env = lop.envs.make("Ant-v3", backend="mujoco-py")  # the original physics itself: see lop.envs.original

They take the place of Gymnasium's entries of these names, which can only say that they have moved elsewhere.
"""

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
    """An environment whose state can be saved."""

    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state: dict[str, Any]) -> None: ...


def make(name: str, backend: str = "mujoco", **arguments: Any) -> gymnasium.Env:
    """An environment of the paper with its time limit.

    Args:
        name: of `ENVIRONMENTS`.
        backend: "mujoco", today's MuJoCo made to give the original physics to rounding; "mujoco-py", the original.
        arguments: of the environment; `friction` alone for "mujoco-py".
    """
    if backend == "mujoco":
        return gymnasium.make(name, **arguments)
    if backend != "mujoco-py":
        raise ValueError(f"Invalid backend: {backend!r} (allowed: mujoco, mujoco-py)")
    original = importlib.import_module("lop.envs.original")  # no import statement: see `Parameters.modules`
    return TimeLimit(original.OriginalEnv(name, **arguments), TIME_LIMIT)


def _register() -> None:
    for name, environment in ENVIRONMENTS.items():
        gymnasium.registry.pop(name, None)
        gymnasium.register(
            name,
            entry_point=f"{environment.__module__}:{environment.__qualname__}",
            max_episode_steps=TIME_LIMIT,
            # Their checks cost time at every step.
            order_enforce=False,
            disable_env_checker=True,
        )
    # Gymnasium advises to use v5, which is another physics.
    advice = r".*The environment (Ant|Hopper|Walker2d)-v3 is out of date"
    warnings.filterwarnings("ignore", advice, DeprecationWarning)


_register()


def environment_state(env: gymnasium.Env) -> dict[str, Any]:
    """All that a bit-exact continuation of `env` needs, time limits included, as plain Python values."""
    elapsed = [elapsed_steps(limit) for limit in _time_limits(env)]
    return {"environment": _simulation(env).state_dict(), "elapsed_steps": elapsed}


def restore_environment(env: gymnasium.Env, state: dict[str, Any]) -> None:
    """Let `env`, made with the same arguments, go on from where `environment_state` was called."""
    limits = list(_time_limits(env))
    if len(limits) != len(state["elapsed_steps"]):
        raise ValueError(f"Invalid state: {len(state['elapsed_steps'])} time limits (allowed: {len(limits)})")
    _simulation(env).load_state_dict(state["environment"])
    for limit, steps in zip(limits, state["elapsed_steps"], strict=True):
        set_elapsed_steps(limit, steps)


def _simulation(env: gymnasium.Env) -> Simulation:
    if not isinstance(env.unwrapped, Simulation):
        raise ValueError(f"Invalid env: {env} (allowed: {', '.join(ENVIRONMENTS)})")
    return env.unwrapped


def _time_limits(env: gymnasium.Env) -> Iterator[TimeLimit]:
    while isinstance(env, gymnasium.Wrapper):
        if isinstance(env, TimeLimit):
            yield env
        env = env.env


class ResumableEnvironment:
    """`env` as an object with state_dict and load_state_dict."""

    def __init__(self, env: gymnasium.Env):
        self.env = env

    def state_dict(self) -> dict[str, Any]:
        """See `environment_state`."""
        return environment_state(self.env)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """See `restore_environment`."""
        restore_environment(self.env, state)
