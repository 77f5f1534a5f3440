"""Walker2d-v3: a two-legged body in a plane that has to walk in the x direction."""

from collections.abc import Sequence

from lop.envs.hopper import PlanarEnv


class Walker2dEnv(PlanarEnv):
    """Walker2d-v3 of gym 0.23.1: observation (17,), and action (6,), torques of the hinges in units of 100.

    For the arguments, see `PlanarEnv` and `MujocoEnv`.
    """

    def __init__(
        self,
        xml_file: str = "walker2d.xml",
        forward_reward_weight: float = 1.0,
        ctrl_cost_weight: float = 1e-3,
        healthy_reward: float = 1.0,
        terminate_when_unhealthy: bool = True,
        healthy_z_range: Sequence[float] = (0.8, 2.0),
        healthy_angle_range: Sequence[float] = (-1.0, 1.0),
        reset_noise_scale: float = 5e-3,
        exclude_current_positions_from_observation: bool = True,
        render_mode: str | None = None,
        width: int = 480,
        height: int = 480,
    ):
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
