"""The stream of online permuted MNIST."""

import numpy as np
import pytest

from lop.data.load import LabelledImages
from lop.permuted_mnist.problem import Stream


def stream(n=50, change_after=40, seed=0):
    rng = np.random.default_rng(7)
    images = rng.integers(0, 256, (n, 28, 28), np.uint8) * (rng.random((n, 28, 28)) < 0.2).astype(np.uint8)
    return Stream(
        np.random.SeedSequence(seed), LabelledImages(images, rng.integers(0, 10, n).astype(np.uint8)), change_after
    )


def dense(examples, order):
    x = np.zeros((len(order), 784), np.float32)
    for row, example in zip(x, order, strict=True):
        here = slice(examples.start[example], examples.start[example + 1])
        row[examples.indices[here]] = examples.values[here]
    return x, examples.targets[order]


def test_task_permutes_all_images_alike_and_shows_each_once():
    problem = stream(change_after=50)
    flat = problem.images / np.float32(255)
    x, y = dense(*problem.examples(50, 50))  # the second task
    task = problem.task(1)
    assert sorted(task.pixels) == list(range(784))
    assert sorted(task.order) == list(range(50))
    np.testing.assert_array_equal(x, flat[task.order][:, task.pixels])
    np.testing.assert_array_equal(y, problem.labels[task.order])
    np.testing.assert_array_equal(problem.inputs(50, 20), x[:20])


def test_chunks_of_a_task_can_be_read_in_any_order():
    whole, parts = stream(), stream()
    x, y = dense(*whole.examples(40, 40))
    for first in (30, 0, 20, 10):
        part_x, part_y = dense(*parts.examples(40 + first, 10))
        np.testing.assert_array_equal(part_x, x[first : first + 10])
        np.testing.assert_array_equal(part_y, y[first : first + 10])


def test_task_longer_than_the_set_repeats_it():
    problem = stream(n=50, change_after=120)
    x, _ = dense(*problem.examples(0, 120))
    np.testing.assert_array_equal(x[:20], x[100:])
    np.testing.assert_array_equal(x[:50], x[50:100])
    assert len(np.unique(x[:50], axis=0)) == 50
    np.testing.assert_array_equal(problem.inputs(40, 20), x[40:60])


def test_tasks_are_determined_by_number_and_seed():
    tasks = [stream().task(0), stream().task(1), stream(seed=1).task(0)]
    assert len({tuple(task.pixels) for task in tasks}) == len({tuple(task.order) for task in tasks}) == 3
    again = stream().task(0)
    np.testing.assert_array_equal(again.pixels, tasks[0].pixels)
    np.testing.assert_array_equal(again.order, tasks[0].order)


@pytest.mark.parametrize("change_after", [10, 50])
def test_all_zero_images_are_examples(change_after):
    problem = stream(change_after=change_after)
    problem.images[problem.task(0).order[3]] = 0
    x, _ = dense(*problem.examples(0, change_after))
    assert not x[3].any()
    assert x[2].any()
    assert x[4].any()
