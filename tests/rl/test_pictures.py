"""Rendering of the ant, and errors without a renderer."""

import os
import subprocess
import sys
from ctypes.util import find_library

import matplotlib.figure
import numpy as np
import pytest
from refusals import names, refusal

from lop.rl import pictures

DRAW = """
import matplotlib.figure
from lop.rl.pictures import ant
ax = matplotlib.figure.Figure().subplots()
ant(ax)
image = ax.images[0].get_array()
assert image.shape == (720, 960, 3), image.shape
assert len({tuple(pixel) for pixel in image[300:420, 400:560].reshape(-1, 3)}) > 100  # a shaded body, not a blank image
"""


@pytest.mark.skipif(not (find_library("EGL") or find_library("OSMesa")), reason="requires EGL or OSMesa")
def test_ant_is_rendered():
    environment = {name: value for name, value in os.environ.items() if name != "MUJOCO_GL"}
    subprocess.run([sys.executable, "-c", DRAW], env=environment, check=True)


def test_unknown_renderer_is_rejected():
    done = subprocess.run([sys.executable, "-c", DRAW], env=os.environ | {"MUJOCO_GL": "crayon"}, capture_output=True)
    last = done.stderr.decode().strip().splitlines()[-1]
    names(last, "InputError", "MUJOCO_GL", "crayon")


def test_error_without_a_renderer_names_the_package_to_install(monkeypatch):
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    monkeypatch.setattr(pictures, "find_library", lambda name: None)
    with refusal("libEGL", "libOSMesa", "libosmesa6"):
        pictures.ant(matplotlib.figure.Figure().subplots())


def test_renderer_chosen_by_the_user_is_kept(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "glfw")
    assert pictures.renderer() == "glfw"


def test_macos_needs_no_rendering_library(monkeypatch):
    monkeypatch.setenv("MUJOCO_GL", "")
    monkeypatch.setattr(pictures, "find_library", lambda name: None)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert pictures.renderer() == "cgl"
    monkeypatch.setattr(pictures, "_standing_ant", lambda: np.full((2, 3, 3), 7, np.uint8))
    ax = matplotlib.figure.Figure().subplots()
    pictures.ant(ax)
    assert ax.images[0].get_array().shape == (2, 3, 3)
    assert os.environ["MUJOCO_GL"] == "cgl"
