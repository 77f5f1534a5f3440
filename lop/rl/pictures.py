"""Pictures of the environments, rendered without a window."""

import os
import sys
from ctypes.util import find_library

import numpy as np
from matplotlib.axes import Axes

from lop.common.errors import InputError

RENDERERS = {"egl": "EGL", "osmesa": "OSMesa"}  # MUJOCO_GL: library
POSE = (0.0, 0.9, 0.0, -0.9, 0.0, -0.9, 0.0, 0.9)  # radians of the ant's hinges, hip and ankle of each leg


def ant(ax: Axes) -> None:
    """Ant, standing, from the camera that follows it.

    Raises:
        InputError: nothing renders without a window here.
    """
    os.environ["MUJOCO_GL"] = name = renderer()
    try:
        ax.imshow(_standing_ant())
    except Exception as error:
        raise InputError(f"no picture: MuJoCo cannot render here with MUJOCO_GL={name}: {error}") from error


def _standing_ant() -> np.ndarray:
    """An image, (720, 960, 3) of uint8."""
    from lop.envs.ant import AntEnv  # MuJoCo reads how to render when it is imported

    env = AntEnv(render_mode="rgb_array", width=960, height=720)
    env.reset(seed=0)
    qpos = env.init_qpos.copy()
    qpos[2], qpos[7:] = 0.62, POSE
    env.set_state(qpos, 0 * env.init_qvel)
    image = np.asarray(env.render())
    env.close()
    return image


def renderer() -> str:
    """What MUJOCO_GL is to say: what it says, macOS's own, or a library that is there; InputError if there is none."""
    if chosen := os.environ.get("MUJOCO_GL"):
        return chosen
    if sys.platform == "darwin":
        return "cgl"
    found = [name for name, library in RENDERERS.items() if find_library(library)]
    if not found:
        raise InputError(
            "no picture: no library renders without a window; found none of libEGL, libOSMesa; allowed: either "
            "(Debian, Ubuntu: sudo apt-get install libosmesa6)"
        )
    return found[-1]


def check() -> None:
    """InputError if this machine cannot draw: see `lop.figures.registry.Picture.check`."""
    renderer()
