"""Classes and images of the tasks of Continual ImageNet."""

import numpy as np
import pytest
from refusals import refusal

from lop.data.formats import write_class
from lop.imagenet.problem import Tasks, classes_until


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return three classes in which every pixel of image i of class c is (100 c + i) / 1000, modulo 1."""
    folder = tmp_path_factory.mktemp("imagenet")
    for number in range(3):
        values = (100 * number + np.arange(700)) % 1000 / 1000
        write_class(
            folder / "classes" / f"{number}.npy", np.broadcast_to(values[:, None, None, None], (700, 3, 32, 32))
        )
    return folder


def tasks(folder=None, seed=0, total_classes=3, num_classes=2, train_images=5, test_images=4):
    return Tasks(seed, folder, total_classes, num_classes, train_images, test_images)


def test_random_order_of_classes_repeats():
    used = classes_until(0, 5, 12)
    assert sorted(used[:5]) == [0, 1, 2, 3, 4]
    assert used == [*used[:5], *used[:5], *used[:2]]
    assert classes_until(0, 5, 7) == used[:7]
    assert len({tuple(classes_until(seed, 5, 5)) for seed in range(20)}) > 10


def test_task_takes_the_next_classes_and_wraps_around():
    used = classes_until(0, 3, 3)
    assert [tasks().classes(number) for number in range(4)] == [
        used[:2],
        [used[2], used[0]],
        used[1:],
        used[:2],
    ]
    assert tasks(num_classes=3).classes(5) == used


def test_training_images_are_the_first_of_a_class_and_test_images_start_at_600(folder):
    first, second = tasks().classes(1)
    (x, y), (test_x, test_y) = tasks(folder).task(1)
    assert (x.shape, x.dtype, test_x.shape) == ((10, 3, 32, 32), np.float32, (8, 3, 32, 32))
    for images, labels, start, n in ((x, y, 0, 5), (test_x, test_y, 600, 4)):
        expected = [(100 * number + start + i) % 1000 / 1000 for number in (first, second) for i in range(n)]
        np.testing.assert_array_equal(images, np.broadcast_to(np.float32(expected)[:, None, None, None], images.shape))
        assert labels.tolist() == [0] * n + [1] * n


def test_error_names_the_missing_class(folder):
    missing = next(number for number in classes_until(0, 6, 6) if number > 2)
    with refusal(folder / f"classes/{missing}.npy"):
        [tasks(folder, total_classes=6).task(number) for number in range(3)]


def test_order_of_images_depends_on_epoch_and_seed():
    orders = [tuple(tasks().order(epoch)) for epoch in range(50)]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len(set(orders)) == 50
    assert orders == [tuple(tasks().order(epoch)) for epoch in range(50)]
    assert orders != [tuple(tasks(seed=1).order(epoch)) for epoch in range(50)]
