"""Ant-v3: a four-legged body with eight hinges that has to run in the x direction."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lop.envs.mujoco_env import MujocoEnv, interval, number


class AntEnv(MujocoEnv):
    """Ant-v3 of gym 0.23.1.

    For arguments that are not listed, see `MujocoEnv`.

    Observation (111,): qpos without x and y (13), qvel (14), and an external force and torque on each of 14 bodies
    (84), which are always zero in MuJoCo 2.1 with mujoco-py. Action (8,): torques of the hinges, in units of 150.

    Reward: forward velocity of the torso in m/s + healthy_reward - control cost - contact cost. As in the published
    environment, the velocity is computed from the torso's `xpos`, which after a step is one Runge-Kutta stage behind
    qpos.

    Args:
        contact_cost_weight: weight of the sum of squared contact forces.
        healthy_z_range: range of the torso's height in metres in which the body is healthy.
        contact_force_range: range to which contact forces are clipped.
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
        """Whether the state is finite and the torso's height within `healthy_z_range`."""
        return self._is_healthy(self._state())

    def _is_healthy(self, state: np.ndarray) -> bool:
        lowest, highest = self._healthy_z_range
        # The dot product takes a tenth of the time of np.isfinite(...).all(), and is finite only if all numbers are.
        finite = math.isfinite(state.dot(state)) or bool(np.isfinite(state).all())
        return finite and lowest <= state.item(2) <= highest

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Simulate one step of 0.05 s.

        Args:
            action: action (8,).

        Returns:
            Observation, reward, terminated, False, and a dict with the terms of the reward.
        """
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
