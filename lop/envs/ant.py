"""Ant-v3: a four-legged body of eight hinges that is to run in the direction of x."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lop.envs.mujoco_env import MujocoEnv, interval, number


class AntEnv(MujocoEnv):
    """Ant-v3 of gym 0.23.1. Arguments that are not listed here: see `MujocoEnv`.

    Observation (111,): qpos without x and y (13), qvel (14), and an external force and torque for each of
    14 bodies (84), which MuJoCo 2.1 under mujoco-py always left at zero. Action (8,): torques of the hinges,
    in units of 150.

    Reward: forward velocity of the torso in m/s + healthy_reward - control cost - contact cost. The velocity
    is taken from the torso's `xpos`, which after a step is one Runge-Kutta stage behind qpos: so it was in
    the published environment.

    Args:
        contact_cost_weight: weight of the sum of squared contact forces.
        healthy_z_range: heights of the torso in metres at which the body is healthy.
        contact_force_range: to which contact forces are clipped.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 20}
    frame_skip = 5
    ground_positions = 2

    def __init__(
        self,
        xml_file: str = "ant.xml",
        ctrl_cost_weight: float = 0.5,
        contact_cost_weight: float = 5e-4,
        healthy_reward: float = 1.0,
        terminate_when_unhealthy: bool = True,
        healthy_z_range: Sequence[float] = (0.2, 1.0),
        contact_force_range: Sequence[float] = (-1.0, 1.0),
        reset_noise_scale: float = 0.1,
        exclude_current_positions_from_observation: bool = True,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 480,
    ):
        self._healthy_z_range = interval("healthy_z_range", healthy_z_range)
        lowest, highest = interval("contact_force_range", contact_force_range)
        self._contact_force = min(max(0.0, lowest), highest)
        super().__init__(
            xml_file,
            ctrl_cost_weight,
            healthy_reward,
            terminate_when_unhealthy,
            reset_noise_scale,
            exclude_current_positions_from_observation,
            render_mode,
            width,
            height,
        )
        weight = number("contact_cost_weight", contact_cost_weight)
        self._contact_cost = weight * 6 * self.model.nbody * self._contact_force**2

    def _template(self) -> np.ndarray:
        return np.concatenate((super()._template(), np.full(6 * self.model.nbody, self._contact_force)))

    def _velocity_noise(self) -> np.ndarray:
        return self._reset_noise_scale * self.np_random.standard_normal(self.model.nv)

    @property
    def is_healthy(self) -> bool:
        """Whether all of the state is finite and the torso within `healthy_z_range`."""
        return self._is_healthy(self._state())

    def _is_healthy(self, state: np.ndarray) -> bool:
        lowest, highest = self._healthy_z_range
        # The product costs a tenth of np.isfinite(...).all(), and is finite only if all numbers are.
        finite = math.isfinite(state.dot(state)) or bool(np.isfinite(state).all())
        return finite and lowest <= state.item(2) <= highest

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of 0.05 s under `action` (8,): observation, reward, terminated, False, reward's terms."""
        x_before, y_before, _ = self._torso_position.tolist()
        control_cost = self._advance(action)
        x, y, _ = self._torso_position.tolist()
        x_velocity, y_velocity = (x - x_before) / self.dt, (y - y_before) / self.dt

        state = self._state()
        healthy = self._is_healthy(state)
        terminates = self._terminate_when_unhealthy
        healthy_reward = self._healthy_reward if healthy or terminates else 0.0
        reward = x_velocity + healthy_reward - (control_cost + self._contact_cost)
        info = {
            "reward_forward": x_velocity,
            "reward_ctrl": -control_cost,
            "reward_contact": -self._contact_cost,
            "reward_survive": healthy_reward,
            "x_position": x,
            "y_position": y,
            "distance_from_origin": math.sqrt(x * x + y * y),
            "x_velocity": x_velocity,
            "y_velocity": y_velocity,
            "forward_reward": x_velocity,
        }
        return state[self._first_observed :], reward, terminates and not healthy, False, info
