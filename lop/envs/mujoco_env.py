"""Base class of all environments: the paper's physics, MuJoCo 2.1 with gym 0.23.1, on current MuJoCo.

Gymnasium's own environments on current MuJoCo have different physics. Three changes since MuJoCo 2.1 are reverted:

- The masses of capsules are those of MuJoCo 2.1 (`restore_capsules`).
- The quaternion of a free joint is normalised in place when a state is set, as by `mj_forward` before MuJoCo 3.2.
- Contact margins are those of MuJoCo up to 3.4; the version is therefore pinned.
"""

import logging
import math
from collections.abc import Sequence
from numbers import Real
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
from gymnasium.spaces import Box

MUJOCO = "3.2.7"
ASSETS = Path(__file__).parent / "assets"
FULL_STATE = mujoco.mjtState.mjSTATE_INTEGRATION

# By default, MuJoCo also writes warnings about divergence to MUJOCO_LOG.TXT in the current folder.
mujoco.set_mju_user_warning(logging.getLogger("mujoco").warning)


def load_model(xml_file: str) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """Load a model, and give its capsules the masses of MuJoCo 2.1.

    Args:
        xml_file: file in the folder `assets`, or the absolute path of another model.

    Returns:
        The model and its data.

    Raises:
        RuntimeError: If the installed version of MuJoCo is not `MUJOCO`.
    """
    if mujoco.__version__ != MUJOCO:
        raise RuntimeError(
            f"mujoco must be {MUJOCO}, got {mujoco.__version__}: other versions compute contacts and free joints "
            f"differently, so that results would not match the paper (pip install mujoco=={MUJOCO})"
        )
    model = mujoco.MjModel.from_xml_path(str(ASSETS / xml_file))  # an absolute path replaces ASSETS
    restore_capsules(model)
    mujoco.mj_setConst(model, mujoco.MjData(model))  # changes the state of that data
    return model, mujoco.MjData(model)


def restore_capsules(model: mujoco.MjModel) -> None:
    """Give capsules the mass and inertia that MuJoCo 2.1 computed, in place; call `mj_setConst` afterwards.

    They are those of a solid cylinder with the capsule's radius r and length L = 2 * half_length + r.

    Args:
        model: model whose capsules are the only geoms of their bodies.

    Raises:
        ValueError: If a body has a capsule and other geoms.
    """
    capsules = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE)
    for body in np.unique(model.geom_bodyid[capsules]):
        if model.body_geomnum[body] > 1:
            name = model.body(body).name
            raise ValueError(f"model must have no other geoms in bodies with a capsule, got body {name!r}")
        radius, half_length, _ = model.geom_size[model.body_geomadr[body]]
        length = 2 * half_length + radius
        mass = model.body_mass[body] * length / (2 * half_length + 4 / 3 * radius)
        across = mass * (3 * radius**2 + length**2) / 12
        model.body_mass[body] = mass
        model.body_inertia[body] = across, across, mass * radius**2 / 2


def number(name: str, value: Any, at_least: float = -math.inf) -> float:
    """Return an argument as a float.

    Args:
        name: name of the argument.
        value: value of the argument.
        at_least: lower bound.

    Raises:
        ValueError: If the value is not a finite number or is below the bound.
    """
    if not isinstance(value, Real) or not math.isfinite(value) or value < at_least:
        bound = "" if at_least == -math.inf else f", at least {at_least:g}"
        raise ValueError(f"{name} must be a finite number{bound}, got {value!r}")
    return float(value)


def interval(name: str, value: Sequence[float]) -> tuple[float, float]:
    """Return an argument as (low, high).

    Args:
        name: name of the argument.
        value: two numbers, of which either may be infinite.

    Raises:
        ValueError: If the value is not a pair of increasing numbers.
    """
    pair = tuple(value) if isinstance(value, Sequence | np.ndarray) else ()
    if len(pair) != 2 or not all(isinstance(end, Real) for end in pair) or not pair[0] < pair[1]:
        raise ValueError(f"{name} must be two increasing numbers, got {value!r}")
    return float(pair[0]), float(pair[1])


class MujocoEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """Base class of simulated bodies; subclasses define observations and rewards.

    Args:
        xml_file: model: a file in the folder `assets`, or the absolute path of another model.
        ctrl_cost_weight: weight of the sum of squared actions, before MuJoCo clamps them.
        healthy_reward: reward for each step after which the body is healthy.
        terminate_when_unhealthy: end the episode when the body is unhealthy. If False, the step only lacks
            `healthy_reward`.
        reset_noise_scale: size of the random perturbation of the initial state.
        exclude_current_positions_from_observation: exclude the position of the body on the ground.
        render_mode: None, or `rgb_array` for images (height, width, 3) uint8.
        width: width of images in pixels.
        height: height of images in pixels.

    Attributes:
        model: MuJoCo's model.
        data: MuJoCo's data.
        dt: seconds per step.
        init_qpos: initial positions (nq,) without noise.
        init_qvel: initial velocities (nv,) without noise.

    Raises:
        ValueError: If an argument is out of range.
        RuntimeError: If the installed version of MuJoCo is not `MUJOCO`.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}
    frame_skip: int  # simulation steps per environment step
    ground_positions: int  # leading entries of qpos with the position on the ground
    _views = ("_qpos", "_qvel", "_ctrl", "_torso_position")

    def __init__(
        self,
        xml_file: str,
        ctrl_cost_weight: float,
        healthy_reward: float,
        terminate_when_unhealthy: bool,
        reset_noise_scale: float,
        exclude_current_positions_from_observation: bool,
        render_mode: str | None,
        width: int,
        height: int,
    ):
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode must be None or 'rgb_array', got {render_mode!r}")
        self._ctrl_cost_weight = number("ctrl_cost_weight", ctrl_cost_weight)
        self._healthy_reward = number("healthy_reward", healthy_reward)
        self._terminate_when_unhealthy = bool(terminate_when_unhealthy)
        self._reset_noise_scale = number("reset_noise_scale", reset_noise_scale, at_least=0)
        self._first_observed = self.ground_positions if exclude_current_positions_from_observation else 0
        self.render_mode, self._size = render_mode, (height, width)
        self._renderer: mujoco.Renderer | None = None

        self.model, self.data = load_model(xml_file)
        self.dt = self.model.opt.timestep * self.frame_skip
        self.init_qpos, self.init_qvel = self.data.qpos.copy(), self.data.qvel.copy()
        low, high = self.model.actuator_ctrlrange.astype(np.float32).T
        self.action_space = Box(low, high, dtype=np.float32)
        self._action_shape = low.shape
        self._state_template = self._template()
        size = len(self._state_template) - self._first_observed
        self.observation_space = Box(-np.inf, np.inf, (size,), np.float64)
        self._bind()

    def _template(self) -> np.ndarray:
        """Return an array for qpos, qvel and further observed values."""
        return np.zeros(self.model.nq + self.model.nv)

    def _bind(self) -> None:
        """Keep views of the simulation's memory: looking them up takes as long as the rest of a step."""
        self._qpos, self._qvel, self._ctrl = self.data.qpos, self.data.qvel, self.data.ctrl
        self._torso_position = self.data.body("torso").xpos
        self._positions = slice(0, self.model.nq)
        self._velocities = slice(self.model.nq, self.model.nq + self.model.nv)

    # A copy (copy.deepcopy, pickle) needs views of its own simulation.
    def __getstate__(self) -> dict[str, Any]:
        own = {key: value for key, value in self.__dict__.items() if key not in self._views}
        return own | {"_renderer": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind()

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Start an episode. A seed gives the same initial states as in gym 0.23.1.

        Args:
            seed: seed of the environment's generator; None continues with the current one.
            options: ignored.

        Returns:
            Observation, and an empty dict.
        """
        super().reset(seed=seed, options=options)
        mujoco.mj_resetData(self.model, self.data)
        noise = self._reset_noise_scale
        qpos = self.init_qpos + self.np_random.uniform(-noise, noise, self.model.nq)
        self.set_state(qpos, self.init_qvel + self._velocity_noise())
        return self._observation(self._state()), {}

    def _velocity_noise(self) -> np.ndarray:
        """Return the perturbation of the initial velocities, (nv,)."""
        raise NotImplementedError

    def _observation(self, state: np.ndarray) -> np.ndarray:
        """Return the observation of `state`, which may be overwritten."""
        return state[self._first_observed :]

    def _advance(self, action: np.ndarray) -> float:
        """Simulate one step and return the cost of the action."""
        action = np.asarray(action)
        if action.shape != self._action_shape:
            raise ValueError(f"action must have shape {self._action_shape}, got {action.shape}")
        self._ctrl[:] = action
        mujoco.mj_step(self.model, self.data, self.frame_skip)
        # Sum in the precision of the action, then convert, as with NumPy 1.
        return self._ctrl_cost_weight * float(np.add.reduce(action * action))

    def _state(self) -> np.ndarray:
        """Return a new array of qpos (nq,), qvel (nv,) and the rest of the template."""
        state = self._state_template.copy()
        state[self._positions] = self._qpos
        state[self._velocities] = self._qvel
        return state

    def state_vector(self) -> np.ndarray:
        """Return qpos and qvel, (nq + nv,)."""
        return np.concatenate((self._qpos, self._qvel))

    def set_state(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Set positions and velocities of the body.

        Args:
            qpos: positions (nq,) in metres and radians.
            qvel: velocities (nv,) per second.

        Raises:
            ValueError: If an array has the wrong shape.
        """
        for name, value, view in (("qpos", qpos, self._qpos), ("qvel", qvel, self._qvel)):
            if np.shape(value) != view.shape:
                raise ValueError(f"{name} must have shape {view.shape}, got {np.shape(value)}")
            view[:] = value
        mujoco.mj_normalizeQuat(self.model, self._qpos)
        mujoco.mj_forward(self.model, self.data)

    def state_dict(self) -> dict[str, Any]:
        """Return the complete state as numbers, strings, lists and dicts, for bit-identical continuation.

        It includes `xpos`, from which Ant computes the next reward: after a step, it is one Runge-Kutta stage behind
        qpos.
        """
        state = np.empty(mujoco.mj_stateSize(self.model, FULL_STATE))
        mujoco.mj_getState(self.model, self.data, state, FULL_STATE)
        generator = self.np_random.bit_generator.state
        return {"integration": state.tolist(), "xpos": self.data.xpos.tolist(), "np_random": generator}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned, in this environment or in another one created with the same arguments.

        Args:
            state: state.

        Raises:
            ValueError: If the state is of another environment.
        """
        integration = np.array(state["integration"])
        expected = mujoco.mj_stateSize(self.model, FULL_STATE)
        if integration.shape != (expected,):
            raise ValueError(f"state must have {expected} numbers, got {integration.size}")
        self.np_random.bit_generator.state = state["np_random"]
        mujoco.mj_setState(self.model, self.data, integration, FULL_STATE)
        mujoco.mj_forward(self.model, self.data)  # computes derived values: contacts, geom positions
        mujoco.mj_setState(self.model, self.data, integration, FULL_STATE)
        self.data.xpos[:] = state["xpos"]

    def render(self) -> np.ndarray | None:
        """Render the current state.

        MuJoCo reads the environment variable MUJOCO_GL to select a renderer.

        Returns:
            Image (height, width, 3) uint8, or None without a render mode.
        """
        if self.render_mode is None:
            return None
        if self._renderer is None:
            buffer, (height, width) = self.model.vis.global_, self._size
            buffer.offheight, buffer.offwidth = max(buffer.offheight, height), max(buffer.offwidth, width)
            self._renderer = mujoco.Renderer(self.model, height, width)
        self._renderer.update_scene(self.data, "track")
        return self._renderer.render()

    def close(self) -> None:
        """Close the renderer, if there is one."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
