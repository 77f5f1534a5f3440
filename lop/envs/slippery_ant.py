"""SlipperyAnt-v3: Ant-v3 on ground whose friction can be changed, the non-stationary problem of the paper."""

from typing import Any

from lop.envs.ant import AntEnv
from lop.envs.mujoco_env import number


class SlipperyAnt(AntEnv):
    """Ant-v3 with sliding friction `friction` >= 0 of all geoms; other arguments as `AntEnv`, by name.

    Torsional and rolling friction stay at 0.5.

        env = gymnasium.make("SlipperyAnt-v3", friction=0.05)
        env.unwrapped.set_friction(2.0)
    """

    def __init__(self, friction: float = 1.5, **arguments: Any):
        friction = number("friction", friction, at_least=0)
        super().__init__(**arguments)
        self.set_friction(friction)

    @property
    def friction(self) -> float:
        """The sliding friction that steps are simulated with."""
        return self._friction

    def set_friction(self, friction: float) -> None:
        """Change the friction from the next step on; after a reset this equals a new environment."""
        self._friction = number("friction", friction, at_least=0)
        self.model.geom_friction[:, 0] = self._friction

    def state_dict(self) -> dict[str, Any]:
        """As `MujocoEnv.state_dict`, and the friction."""
        return super().state_dict() | {"friction": self._friction}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """As `MujocoEnv.load_state_dict`; the friction becomes the saved one."""
        self.set_friction(state["friction"])
        super().load_state_dict(state)
