"""The environments of the paper, registered with Gymnasium: Ant-v3, Hopper-v3, Walker2d-v3, SlipperyAnt-v3.

    import gymnasium, lop.envs
    env = gymnasium.make("Ant-v3")

They take the place of Gymnasium's entries of these names, which can only say that they have moved elsewhere.
"""

import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
from gymnasium.wrappers import TimeLimit

from lop.envs.ant import AntEnv
from lop.envs.hopper import HopperEnv
from lop.envs.mujoco_env import MujocoEnv
from lop.envs.slippery_ant import SlipperyAnt
from lop.envs.walker2d import Walker2dEnv

__all__ = [
    "AntEnv",
    "HopperEnv",
    "ResumableEnvironment",
    "SlipperyAnt",
    "Walker2dEnv",
    "environment_state",
    "restore_environment",
]

ENVIRONMENTS = {
    "Ant-v3": AntEnv,
    "Hopper-v3": HopperEnv,
    "Walker2d-v3": Walker2dEnv,
    "SlipperyAnt-v3": SlipperyAnt,
}


def _register() -> None:
    for name, environment in ENVIRONMENTS.items():
        gymnasium.registry.pop(name, None)
        gymnasium.register(
            name,
            entry_point=f"{environment.__module__}:{environment.__qualname__}",
            max_episode_steps=1000,
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
    elapsed = [wrapper._elapsed_steps for wrapper in _time_limits(env)]
    return {"environment": _simulation(env).state_dict(), "elapsed_steps": elapsed}


def restore_environment(env: gymnasium.Env, state: dict[str, Any]) -> None:
    """Let `env`, made with the same arguments, go on from where `environment_state` was called."""
    limits = list(_time_limits(env))
    if len(limits) != len(state["elapsed_steps"]):
        raise ValueError(f"Invalid state: {len(state['elapsed_steps'])} time limits (allowed: {len(limits)})")
    _simulation(env).load_state_dict(state["environment"])
    for wrapper, elapsed in zip(limits, state["elapsed_steps"], strict=True):
        wrapper._elapsed_steps = elapsed


def _simulation(env: gymnasium.Env) -> MujocoEnv:
    if not isinstance(env.unwrapped, MujocoEnv):
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
