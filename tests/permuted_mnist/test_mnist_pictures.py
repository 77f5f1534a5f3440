"""Pictures of online permuted MNIST."""

import matplotlib.figure
import numpy as np
import pandas as pd

from lop.data import load
from lop.data.sets import ImageSource
from lop.figures.draw import draw
from lop.figures.registry import load_figure
from lop.permuted_mnist.pictures import DIGITS, TASKS, permutations


def test_picture_shows_digits_and_their_permutations(data):
    ax = matplotlib.figure.Figure().subplots()
    folder = ImageSource().folder("mnist", data)
    permutations(ax, folder)
    shown = np.array([image.get_array() for image in ax.images]).reshape(TASKS + 1, DIGITS, 28, 28)
    train = load.mnist(folder).train
    for digit, image in enumerate(shown[0]):
        assert (train.images[train.labels == digit] == image).all((1, 2)).any()
    for task in shown[1:]:
        np.testing.assert_array_equal(np.sort(task.reshape(DIGITS, -1)), np.sort(shown[0].reshape(DIGITS, -1)))
    assert len({row.tobytes() for row in shown}) == TASKS + 1


def test_figure_is_drawn_from_the_images_of_the_source(data, tmp_path):
    figure = load_figure("ed3a", "laptop")
    pdf, png, _ = draw(pd.DataFrame(columns=["panel", "curve"]), figure, tmp_path, data=data)
    assert pdf.stat().st_size > 5000
    assert png.stat().st_size > 5000
