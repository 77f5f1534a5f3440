"""The picture of samples in the documentation."""

import subprocess
import sys

import numpy as np
from PIL import Image

from lop.common.paths import ROOT
from lop.data.picture import CELL, COLUMNS, GAP, ROWS


def test_picture_stacks_three_sets(tmp_path):
    path = tmp_path / "glyphs.png"
    subprocess.run([sys.executable, "-m", "lop.data.picture", path], cwd=ROOT, check=True)
    assert path.stat().st_size < 200_000
    picture = Image.open(path)
    assert picture.size == (COLUMNS * CELL, 3 * ROWS * CELL + 2 * GAP)
    rows = np.asarray(picture.convert("L")).reshape(picture.height, -1)
    assert (rows[ROWS * CELL : ROWS * CELL + GAP] > 250).all()
