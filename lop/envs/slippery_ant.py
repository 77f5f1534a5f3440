"""SlipperyAnt-v3: Ant-v3 with a variable friction, the paper's non-stationary environment."""

from typing import Any

from lop.envs.ant import AntEnv
from lop.envs.mujoco_env import number


class SlipperyAnt(AntEnv):
    """Ant-v3 with a variable sliding friction; torsional and rolling friction remain 0.5.

    Args:
        friction: sliding friction of all geoms, non-negative.
        arguments: arguments of `AntEnv`.

    Raises:
        ValueError: If an argument is out of range.

    Example::

        env = gymnasium.make("SlipperyAnt-v3", friction=0.05)
        env.unwrapped.set_friction(2.0)
    """

    def __init__(self, friction: float = 1.5, **arguments: Any):
        friction = number("friction", friction, at_least=0)
        super().__init__(**arguments)
        self.set_friction(friction)

    @property
    def friction(self) -> float:
        """Sliding friction of the current simulation."""
        return self._friction

    def set_friction(self, friction: float) -> None:
        """Change the friction from the next step on; after a reset, this is equivalent to a new environment.

        Args:
            friction: sliding friction of all geoms, non-negative.

        Raises:
            ValueError: If `friction` is out of range.
        """
        self._friction = number("friction", friction, at_least=0)
        self.model.geom_friction[:, 0] = self._friction

    def state_dict(self) -> dict[str, Any]:
        """Return the state including the friction; see `MujocoEnv.state_dict`."""
        return super().state_dict() | {"friction": self._friction}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state including the friction; see `MujocoEnv.load_state_dict`."""
        self.set_friction(state["friction"])
        super().load_state_dict(state)
