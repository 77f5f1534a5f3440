"""Pictures of Continual ImageNet."""

import matplotlib.figure
import numpy as np

from lop.data.formats import write_class
from lop.figures.registry import load_figure
from lop.imagenet.pictures import IMAGES, TASKS, pairs
from lop.imagenet.problem import classes_until


def test_picture_shows_the_class_pairs_of_the_first_tasks(tmp_path):
    classes = classes_until(0, 1000, 2 * TASKS)
    rng = np.random.default_rng(0)
    stored = {number: rng.uniform(-0.5, 0.5, (700, 3, 32, 32)) for number in classes}
    for number, images in stored.items():
        write_class(tmp_path / "classes" / f"{number}.npy", images)
    ax = matplotlib.figure.Figure().subplots()
    pairs(ax, tmp_path)
    assert len(ax.images) == 2 * TASKS * IMAGES
    for place, drawn in enumerate(ax.images):
        image = np.asarray(drawn.get_array())
        expected = stored[classes[place // IMAGES]][place % IMAGES].transpose(1, 2, 0)
        assert image.min() == 0
        assert image.max() == 1
        assert np.corrcoef(image.ravel(), expected.ravel())[0, 1] > 0.999


def test_figure_requires_the_files_of_these_classes():
    (picture,) = load_figure("fig1a", "laptop").pictures
    assert list(picture.classes) == classes_until(0, 1000, 2 * TASKS)
