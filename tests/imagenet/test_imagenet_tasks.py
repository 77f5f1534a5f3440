"""Continual ImageNet: the classes and images of each task, by hand."""

import numpy as np
import pytest
from refusals import refusal

from lop.data.formats import write_class
from lop.imagenet.problem import Tasks, classes_until


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes; every pixel of image i of class c is (100 c + i) / 1000, modulo 1."""
    folder = tmp_path_factory.mktemp("imagenet")
    for number in range(3):
        values = (100 * number + np.arange(700)) % 1000 / 1000
        write_class(
            folder / "classes" / f"{number}.npy", np.broadcast_to(values[:, None, None, None], (700, 3, 32, 32))
        )
    return folder


def tasks(folder=None, seed=0, total_classes=3, num_classes=2, train_images=5, test_images=4):
    return Tasks(seed, folder, total_classes, num_classes, train_images, test_images)


def test_classes_come_in_a_random_order_and_then_in_the_same_again():
    used = classes_until(0, 5, 12)
    assert sorted(used[:5]) == [0, 1, 2, 3, 4]
    assert used == [*used[:5], *used[:5], *used[:2]]
    assert classes_until(0, 5, 7) == used[:7]
    assert len({tuple(classes_until(seed, 5, 5)) for seed in range(20)}) > 10


def test_a_task_takes_the_next_classes_and_may_begin_the_order_again_in_the_middle():
    used = classes_until(0, 3, 3)
    assert [tasks().classes(number) for number in range(4)] == [
        used[:2],
        [used[2], used[0]],
        used[1:],
        used[:2],
    ]
    assert tasks(num_classes=3).classes(5) == used


def test_a_task_has_the_first_images_of_each_class_to_learn_from_and_those_behind_the_600th_to_test_on(folder):
    first, second = tasks().classes(1)
    (x, y), (test_x, test_y) = tasks(folder).task(1)
    assert (x.shape, x.dtype, test_x.shape) == ((10, 3, 32, 32), np.float32, (8, 3, 32, 32))
    for images, labels, start, n in ((x, y, 0, 5), (test_x, test_y, 600, 4)):
        expected = [(100 * number + start + i) % 1000 / 1000 for number in (first, second) for i in range(n)]
        np.testing.assert_array_equal(images, np.broadcast_to(np.float32(expected)[:, None, None, None], images.shape))
        assert labels.tolist() == [0] * n + [1] * n


def test_a_missing_class_is_named(folder):
    missing = next(number for number in classes_until(0, 6, 6) if number > 2)
    with refusal(folder / f"classes/{missing}.npy"):
        [tasks(folder, total_classes=6).task(number) for number in range(3)]


def test_every_epoch_has_an_order_of_its_own_which_follows_from_the_seed():
    orders = [tuple(tasks().order(epoch)) for epoch in range(50)]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert len(set(orders)) == 50
    assert orders == [tuple(tasks().order(epoch)) for epoch in range(50)]
    assert orders != [tuple(tasks(seed=1).order(epoch)) for epoch in range(50)]
