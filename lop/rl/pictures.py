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
    """Draw a standing Ant, seen from the camera that follows it.

    Args:
        ax: Axes to draw into.

    Raises:
        InputError: If MuJoCo cannot render without a window.
    """
    os.environ["MUJOCO_GL"] = name = renderer()
    try:
        ax.imshow(_standing_ant())
    except Exception as error:
        raise InputError(f"picture: MuJoCo cannot render with MUJOCO_GL={name}: {error}") from error


def _standing_ant() -> np.ndarray:
    """Return an image (720, 960, 3) uint8."""
    from lop.envs.ant import AntEnv  # MuJoCo reads MUJOCO_GL on import

    env = AntEnv(render_mode="rgb_array", width=960, height=720)
    env.reset(seed=0)
    qpos = env.init_qpos.copy()
    qpos[2], qpos[7:] = 0.62, POSE
    env.set_state(qpos, 0 * env.init_qvel)
    image = np.asarray(env.render())
    env.close()
    return image


def renderer() -> str:
    """Return the value for MUJOCO_GL: the current one if it is set, `cgl` on macOS, or else an installed library.

    Raises:
        InputError: If none of the libraries is installed.
    """
    if chosen := os.environ.get("MUJOCO_GL"):
        return chosen
    if sys.platform == "darwin":
        return "cgl"
    found = [name for name, library in RENDERERS.items() if find_library(library)]
    if not found:
        raise InputError(
            "picture: found no library that renders without a window, allowed: libEGL or libOSMesa "
            "(Debian, Ubuntu: sudo apt-get install libosmesa6)"
        )
    return found[-1]


def check() -> None:
    """Raise InputError if MuJoCo cannot render on this machine; see `lop.figures.registry.Picture.check`."""
    renderer()
