"""The physics of the paper, MuJoCo 2.1 under gym 0.23.1, on today's MuJoCo; base class of all environments.

Gymnasium's own environments on current MuJoCo are another physics. Three things had changed, and are
changed back:

- a capsule weighs what MuJoCo 2.1 made of it (`restore_capsules`);
- a free joint's quaternion is normalised in place when a state is set, as `mj_forward` did before MuJoCo 3.2;
- contact margins are those of MuJoCo up to 3.4, hence the pin.
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

# MuJoCo would tell that a simulation diverges in a file of its own, MUJOCO_LOG.TXT in the current folder, too.
mujoco.set_mju_user_warning(logging.getLogger("mujoco").warning)


def load_model(xml_file: str) -> tuple[mujoco.MjModel, mujoco.MjData]:
    """Load a model, give its capsules the masses of MuJoCo 2.1, and return it with its data.

    Args:
        xml_file: a file in the folder `assets`, or the full path of another model.

    Raises:
        RuntimeError: the installed MuJoCo is not `MUJOCO`.
    """
    if mujoco.__version__ != MUJOCO:
        raise RuntimeError(
            f"mujoco {mujoco.__version__} found, {MUJOCO} required: others compute contacts and free "
            f"joints differently, and results would not be the paper's (pip install mujoco=={MUJOCO})"
        )
    model = mujoco.MjModel.from_xml_path(str(ASSETS / xml_file))  # a full path replaces ASSETS
    restore_capsules(model)
    mujoco.mj_setConst(model, mujoco.MjData(model))  # leaves that data in another state than the initial one
    return model, mujoco.MjData(model)


def restore_capsules(model: mujoco.MjModel) -> None:
    """Give capsules the mass and inertia that MuJoCo 2.1 gave them, in place.

    Those of a solid cylinder of the capsule's radius r and of length L = 2 * half_length + r; call
    `mj_setConst` after.
    """
    capsules = np.flatnonzero(model.geom_type == mujoco.mjtGeom.mjGEOM_CAPSULE)
    for body in np.unique(model.geom_bodyid[capsules]):
        if model.body_geomnum[body] > 1:
            name = model.body(body).name
            raise ValueError(f"Invalid model: body {name!r} has a capsule beside other geoms")
        radius, half_length, _ = model.geom_size[model.body_geomadr[body]]
        length = 2 * half_length + radius
        mass = model.body_mass[body] * length / (2 * half_length + 4 / 3 * radius)
        across = mass * (3 * radius**2 + length**2) / 12
        model.body_mass[body] = mass
        model.body_inertia[body] = across, across, mass * radius**2 / 2


def number(name: str, value: Any, at_least: float = -math.inf) -> float:
    """`value`, or a ValueError that names it unless it is a finite number and not below `at_least`."""
    if not isinstance(value, Real) or not math.isfinite(value) or value < at_least:
        bound = "" if at_least == -math.inf else f", at least {at_least:g}"
        raise ValueError(f"Invalid {name}: {value!r} (allowed: a finite number{bound})")
    return float(value)


def interval(name: str, value: Sequence[float]) -> tuple[float, float]:
    """`value` as (low, high), infinite ends allowed, or a ValueError that names it."""
    pair = tuple(value) if isinstance(value, Sequence | np.ndarray) else ()
    if len(pair) != 2 or not all(isinstance(end, Real) for end in pair) or not pair[0] < pair[1]:
        raise ValueError(f"Invalid {name}: {value!r} (allowed: two numbers, the lower first)")
    return float(pair[0]), float(pair[1])


class MujocoEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """A simulated body; subclasses say what is observed and rewarded.

    Args:
        xml_file: model: a file in the folder `assets`, or the full path of another model.
        ctrl_cost_weight: weight of the sum of squared actions, as given although MuJoCo clamps them.
        healthy_reward: reward of a step after which the body is healthy.
        terminate_when_unhealthy: end the episode then; else such a step just lacks `healthy_reward`.
        reset_noise_scale: size of the random perturbation of the initial state.
        exclude_current_positions_from_observation: leave out where the body is on the ground.
        render_mode: None or "rgb_array", an image (height, width, 3) of uint8.
        width, height: of images, in pixels.

    Attributes: `model`, `data`; `dt`, seconds a step; `init_qpos` (nq,) and `init_qvel` (nv,), the state
    before noise.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"]}
    frame_skip: int  # simulation steps an environment step
    ground_positions: int  # leading entries of qpos that say where the body is
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
            raise ValueError(f"Invalid render_mode: {render_mode!r} (allowed: None, 'rgb_array')")
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
        """An array for qpos, qvel and whatever is observed after them."""
        return np.zeros(self.model.nq + self.model.nv)

    def _bind(self) -> None:
        """Keep views of the simulation's memory: looking them up would cost as much as all else in a step."""
        self._qpos, self._qvel, self._ctrl = self.data.qpos, self.data.qvel, self.data.ctrl
        self._torso_position = self.data.body("torso").xpos
        self._positions = slice(0, self.model.nq)
        self._velocities = slice(self.model.nq, self.model.nq + self.model.nv)

    # A copy (copy.deepcopy, pickle) has to view its own simulation.
    def __getstate__(self) -> dict[str, Any]:
        own = {key: value for key, value in self.__dict__.items() if key not in self._views}
        return own | {"_renderer": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._bind()

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        """Start an episode: observation, and an empty dict. The draws of a seed are those of gym 0.23.1."""
        super().reset(seed=seed, options=options)
        mujoco.mj_resetData(self.model, self.data)
        noise = self._reset_noise_scale
        qpos = self.init_qpos + self.np_random.uniform(-noise, noise, self.model.nq)
        self.set_state(qpos, self.init_qvel + self._velocity_noise())
        return self._observation(self._state()), {}

    def _velocity_noise(self) -> np.ndarray:
        """Perturbation of the initial velocities, (nv,)."""
        raise NotImplementedError

    def _observation(self, state: np.ndarray) -> np.ndarray:
        """What is observed of `state`, which may be overwritten."""
        return state[self._first_observed :]

    def _advance(self, action: np.ndarray) -> float:
        """Simulate one step under `action`, return the action's cost."""
        action = np.asarray(action)
        if action.shape != self._action_shape:
            raise ValueError(f"Invalid action: shape {action.shape} (allowed: {self._action_shape})")
        self._ctrl[:] = action
        mujoco.mj_step(self.model, self.data, self.frame_skip)
        # Summed in the action's own precision and then widened, as NumPy 1 did.
        return self._ctrl_cost_weight * float(np.add.reduce(action * action))

    def _state(self) -> np.ndarray:
        """A new array of qpos (nq,), qvel (nv,) and the template's rest."""
        state = self._state_template.copy()
        state[self._positions] = self._qpos
        state[self._velocities] = self._qvel
        return state

    def state_vector(self) -> np.ndarray:
        """qpos and qvel, (nq + nv,)."""
        return np.concatenate((self._qpos, self._qvel))

    def set_state(self, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Put the body into a state: qpos (nq,) in metres and radians, qvel (nv,) per second."""
        for name, value, view in (("qpos", qpos, self._qpos), ("qvel", qvel, self._qvel)):
            if np.shape(value) != view.shape:
                raise ValueError(f"Invalid {name}: shape {np.shape(value)} (allowed: {view.shape})")
            view[:] = value
        mujoco.mj_normalizeQuat(self.model, self._qpos)
        mujoco.mj_forward(self.model, self.data)

    def state_dict(self) -> dict[str, Any]:
        """All that a bit-exact continuation needs, as numbers, strings, lists and dicts.

        `xpos` is part of it: after a step it is one Runge-Kutta stage behind qpos, and Ant's next reward
        starts there.
        """
        state = np.empty(mujoco.mj_stateSize(self.model, FULL_STATE))
        mujoco.mj_getState(self.model, self.data, state, FULL_STATE)
        generator = self.np_random.bit_generator.state
        return {"integration": state.tolist(), "xpos": self.data.xpos.tolist(), "np_random": generator}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from where `state_dict` was called, here or in another environment of the same arguments."""
        integration = np.array(state["integration"])
        expected = mujoco.mj_stateSize(self.model, FULL_STATE)
        if integration.shape != (expected,):
            raise ValueError(f"Invalid state: {integration.size} numbers (allowed: {expected})")
        self.np_random.bit_generator.state = state["np_random"]
        mujoco.mj_setState(self.model, self.data, integration, FULL_STATE)
        mujoco.mj_forward(self.model, self.data)  # what is only looked at: contacts, geom positions
        mujoco.mj_setState(self.model, self.data, integration, FULL_STATE)
        self.data.xpos[:] = state["xpos"]

    def render(self) -> np.ndarray | None:
        """An image, (height, width, 3) of uint8, or None without a render mode. See MuJoCo on MUJOCO_GL."""
        if self.render_mode is None:
            return None
        if self._renderer is None:
            buffer, (height, width) = self.model.vis.global_, self._size
            buffer.offheight, buffer.offwidth = max(buffer.offheight, height), max(buffer.offwidth, width)
            self._renderer = mujoco.Renderer(self.model, height, width)
        self._renderer.update_scene(self.data, "track")
        return self._renderer.render()

    def close(self) -> None:
        """Release the renderer, if there is one."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None
