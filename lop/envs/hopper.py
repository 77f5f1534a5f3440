"""Hopper-v3, a one-legged body in a plane that has to hop along x, and the base class that Walker2d-v3 shares."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from lop.envs.mujoco_env import MujocoEnv, interval, number

FASTEST = 10.0  # velocities are clipped to this magnitude in observations, per second


class PlanarEnv(MujocoEnv):
    """Body that moves in the x-z plane; qpos begins with x and z in metres and the torso's angle in radians.

    For arguments that are not listed, see `MujocoEnv`.

    Observation: qpos without x, and qvel clipped to [-10, 10]. Reward: forward_reward_weight * velocity in m/s +
    healthy_reward - control cost.

    Args:
        forward_reward_weight: weight of the velocity.
        healthy_z_range: open interval of the torso's height in metres in which the body is healthy.
        healthy_angle_range: open interval of the torso's angle in radians in which the body is healthy.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 125}
    frame_skip = 4
    ground_positions = 1

    def __init__(
        self,
        xml_file: str,
        forward_reward_weight: float,
        healthy_z_range: Sequence[float],
        healthy_angle_range: Sequence[float],
        **arguments: Any,
    ):
        self._forward_reward_weight = number("forward_reward_weight", forward_reward_weight)
        self._healthy_z_range = interval("healthy_z_range", healthy_z_range)
        self._healthy_angle_range = interval("healthy_angle_range", healthy_angle_range)
        super().__init__(xml_file, **arguments)
        self._highest = np.full(self.model.nv, FASTEST)
        self._lowest = -self._highest

    def _velocity_noise(self) -> np.ndarray:
        noise = self._reset_noise_scale
        return self.np_random.uniform(-noise, noise, self.model.nv)

    @property
    def is_healthy(self) -> bool:
        """Whether the state is within the healthy ranges."""
        return self._is_healthy(self._state())

    def _is_healthy(self, state: np.ndarray) -> bool:
        (lowest, highest), (left, right) = self._healthy_z_range, self._healthy_angle_range
        return lowest < state.item(1) < highest and left < state.item(2) < right

    def _observation(self, state: np.ndarray) -> np.ndarray:
        velocities = state[self._velocities]
        # np.clip takes ten times as long for so few numbers.
        np.minimum(velocities, self._highest, out=velocities)
        np.maximum(velocities, self._lowest, out=velocities)
        return state[self._first_observed :]

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Simulate one step of 0.008 s.

        Args:
            action: action (nu,).

        Returns:
            Observation, reward, terminated, False, and a dict with position and velocity.
        """
        x_before = self._qpos.item(0)
        control_cost = self._advance(action)
        state = self._state()
        x = state.item(0)
        x_velocity = (x - x_before) / self.dt

        healthy = self._is_healthy(state)
        terminates = self._terminate_when_unhealthy
        healthy_reward = self._healthy_reward if healthy or terminates else 0.0
        reward = self._forward_reward_weight * x_velocity + healthy_reward - control_cost
        info = {"x_position": x, "x_velocity": x_velocity}
        return self._observation(state), reward, terminates and not healthy, False, info


class HopperEnv(PlanarEnv):
    """Hopper-v3 of gym 0.23.1: observation (11,), and action (3,), torques of the hinges in units of 200.

    For arguments that are not listed, see `PlanarEnv` and `MujocoEnv`.

    Args:
        healthy_state_range: open interval in which all of qpos except x and z, and all of qvel, are healthy.
    """

    def __init__(
        self,
        xml_file: str = "hopper.xml",
        forward_reward_weight: float = 1.0,
        ctrl_cost_weight: float = 1e-3,
        healthy_reward: float = 1.0,
        terminate_when_unhealthy: bool = True,
        healthy_state_range: Sequence[float] = (-100.0, 100.0),
        healthy_z_range: Sequence[float] = (0.7, float("inf")),
        healthy_angle_range: Sequence[float] = (-0.2, 0.2),
        reset_noise_scale: float = 5e-3,
        exclude_current_positions_from_observation: bool = True,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 480,
    ):
        lowest, highest = self._healthy_state_range = interval("healthy_state_range", healthy_state_range)
        self._safe_square = max(0.0, min(-lowest, highest)) ** 2
        super().__init__(
            xml_file,
            forward_reward_weight,
            healthy_z_range,
            healthy_angle_range,
            ctrl_cost_weight=ctrl_cost_weight,
            healthy_reward=healthy_reward,
            terminate_when_unhealthy=terminate_when_unhealthy,
            reset_noise_scale=reset_noise_scale,
            exclude_current_positions_from_observation=exclude_current_positions_from_observation,
            render_mode=render_mode,
            width=width,
            height=height,
        )

    def _is_healthy(self, state: np.ndarray) -> bool:
        lowest, highest = self._healthy_state_range
        rest = state[2:]
        # A sum of squares below the square of the nearer end is sufficient, and faster than min and max.
        in_range = rest.dot(rest) < self._safe_square or lowest < rest.min() <= rest.max() < highest
        return bool(in_range) and super()._is_healthy(state)
