"""Built-in images: identical bytes on every machine and for every chunk size, and distinct classes."""

import hashlib
import itertools

import numpy as np
import pytest

from lop.data import built_in
from lop.data.characters import DIGITS, GROUPS, THOUSAND
from lop.data.formats import CIFAR_RECORD
from lop.data.glyphs import CIFAR100, IMAGENET, MNIST, images, stream
from lop.data.templates import EXTENT, FONTS, SIDE, template, templates

MNIST_50 = "9a14885d6e3d818ef6e5c35aa90e3b1d8d5a845a808991f8b9e8d22f07e60bff"
CIFAR100_50 = "729c96eb1b17c8783c2d1c3926642cf5878868e9d335c80510aa92108fc75d2e"
IMAGENET_50 = "a611a1a72e832673f1e9330a3e05670b146bc2315b4622348beb1d2ed0fb37ea"
LOOKS = pytest.mark.parametrize("look", [MNIST, CIFAR100, IMAGENET], ids=lambda look: look.name)


def drawn(look, labels, *block, chunk=200):
    return images(look, np.asarray(labels), stream(look, 0, *block), chunk)


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


@LOOKS
def test_images_are_determined_by_their_stream(look):
    labels = np.arange(8)
    assert np.array_equal(drawn(look, labels, 1), drawn(look, labels, 1))
    assert not np.array_equal(drawn(look, labels, 1), drawn(look, labels, 2))


@LOOKS
@pytest.mark.parametrize("chunk", [1, 7, 1000])
def test_images_do_not_depend_on_the_chunk_size(look, chunk):
    labels = np.arange(30) % 10
    assert np.array_equal(drawn(look, labels, 1), drawn(look, labels, 1, chunk=chunk))


@LOOKS
def test_pixels_use_the_full_range_and_have_a_moderate_mean(look):
    x = drawn(look, np.arange(200) % len(look.characters), 1)
    assert x.shape == (200, look.channels, look.side, look.side)
    assert x.dtype == np.uint8
    assert x.min() == 0
    assert x.max() == 255
    assert (15 if look.channels == 1 else 60) < x.mean() < 140


def test_fraction_of_zero_pixels_is_similar_to_mnist():
    """81% of MNIST pixels are zero, and the online learner skips the weights of zero inputs."""
    x = drawn(MNIST, np.arange(200) % 10, 1)
    assert 0.77 < (x == 0).mean() < 0.87


def test_mean_images_differ_more_between_classes_than_within():
    labels = np.repeat(np.arange(10), 100)
    x = drawn(MNIST, labels, 1).reshape(10, 2, 50, -1).astype(float).mean(2)
    within = np.abs(x[:, 0] - x[:, 1]).mean()
    between = np.mean([np.abs(x[i, 0] - x[j, 1]).mean() for i in range(10) for j in range(10) if i != j])
    assert between > 1.5 * within


def test_pixels_of_imagenet_classes_are_centred():
    x = np.concatenate([built_in.class_images(number, 0) for number in range(0, 1000, 50)])
    assert np.abs(x.mean((0, 2, 3))).max() < 0.01
    assert np.abs(x).max() <= 1


def test_block_is_balanced_and_shuffled():
    x, y = built_in.block(CIFAR100, 0, "train", 0)
    assert x.shape == (1000, 3, 32, 32)
    assert (np.bincount(y) == 10).all()
    assert (np.diff(y.astype(int)) != 0).mean() > 0.9


def test_cifar100_files_hold_the_blocks_with_their_labels(tmp_path, monkeypatch):
    """Superclass n consists of classes 5n to 5n + 4."""

    def block(look, seed, part, index):
        return np.full((2, 3, 32, 32), index, np.uint8), np.array([seed, 99], np.uint8)

    monkeypatch.setattr(built_in, "block", block)
    built_in.write_cifar100(tmp_path, seed=7)
    for name, blocks in (("train.bin", 50), ("test.bin", 10)):
        records = np.fromfile(tmp_path / name, CIFAR_RECORD)
        assert records["fine"].tolist() == [7, 99] * blocks
        assert records["coarse"].tolist() == [1, 19] * blocks
        assert (records["image"] == np.repeat(np.arange(blocks), 2)[:, None, None, None]).all()


def test_blocks_parts_and_seeds_have_different_images():
    which = itertools.product((0, 1), ("train", "test"), (0, 1))
    firsts = [built_in.block(MNIST, *one)[0][:20] for one in which]
    assert len({digest(first) for first in firsts}) == len(firsts)


def test_samples_match_pinned_digests():
    """If these digests change, every run on built-in images uses other data."""
    assert digest(built_in.block(MNIST, 0, "train", 0)[0][:50]) == MNIST_50
    assert digest(built_in.block(CIFAR100, 0, "train", 0)[0][:50]) == CIFAR100_50
    assert digest(built_in.class_images(7, 0, count=50)) == IMAGENET_50


def test_characters_are_distinct_and_available_in_several_fonts():
    assert len(DIGITS) == 10
    assert [len(group) for group in GROUPS] == [5] * 20
    assert len(set("".join(GROUPS))) == 100
    assert len(set(THOUSAND)) == len(THOUSAND) == 1000
    assert all(len(templates(character)) >= 4 for character in "".join(GROUPS) + THOUSAND)


def test_thousand_characters_are_visually_distinct():
    small = [template(character, "DejaVuSans").reshape(16, 4, 16, 4).mean((1, 3)).ravel() for character in THOUSAND]
    small = np.array(small, np.float32)
    nearest = [np.sort(np.abs(small - one).mean(1))[1] for one in small]
    assert min(nearest) > 14.7


def test_templates_are_centred_and_equally_large():
    for font in FONTS:
        ink = template("E", font) > 127
        rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
        assert ink.shape == (SIDE, SIDE)
        assert abs(max(np.ptp(rows), np.ptp(columns)) + 1 - EXTENT) <= 4
        assert abs(rows.mean() - SIDE / 2) < 2
        assert abs(columns.mean() - SIDE / 2) < 2


def test_font_without_the_character_has_no_template():
    assert template("\N{BLACK CHESS KING}", "STIXGeneralBolIta") is None
    assert template(" ", "DejaVuSans") is None
