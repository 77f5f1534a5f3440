"""Images of characters in the fonts that matplotlib ships.

Each class is a character. Each image has a random font, affine map, colours, background and noise.

Images are bit-identical on every machine. All random numbers come from PCG64. All arithmetic is on integers, or uses
single +, -, * and / operations on doubles, which IEEE 754 rounds identically everywhere; there are no sums, matrix
products or trigonometric functions. Images are drawn in blocks with separate random streams, so that no block depends
on which others are drawn.
"""

from dataclasses import dataclass

import numpy as np

from lop.data.characters import DIGITS, GROUPS, THOUSAND
from lop.data.templates import EXTENT, SIDE, templates

Range = tuple[float, float]
CLUTTER = "".join(GROUPS)
CHUNK = 200  # images drawn at a time, few enough for the processor's caches


@dataclass(frozen=True)
class Look:
    """Distribution of a set's images; a pair contains the bounds of a uniform distribution."""

    name: str
    characters: str
    side: int  # pixels
    channels: int
    size: Range  # longer side of the character, as a fraction of the image's side
    turn: float  # maximum |tan(angle / 2)| of the rotation
    shear: float  # maximum |shear|
    aspect: Range  # factor on the ratio of width to height
    shift: float  # maximum distance from the centre along each axis, as a fraction of the image's side
    edge: Range  # value of the template, of 255, at which a stroke ends
    contrast: Range  # brightness of the character minus that of the background, of 255
    dark: float  # fraction of characters darker than their background
    noise: Range  # amplitude, of 255; with one channel only on characters: the background is 0, as in MNIST
    clutter: int  # characters of CLUTTER drawn beneath the labelled one, partly outside the image


MNIST = Look(
    name="mnist",
    characters=DIGITS,
    side=28,
    channels=1,
    size=(0.55, 0.8),
    turn=0.18,
    shear=0.25,
    aspect=(0.75, 1.25),
    shift=0.09,
    edge=(60, 150),
    contrast=(170, 255),
    dark=0.0,
    noise=(0, 90),
    clutter=0,
)
CIFAR100 = Look(
    name="cifar-100",
    characters=CLUTTER,
    side=32,
    channels=3,
    size=(0.55, 0.85),
    turn=0.15,
    shear=0.2,
    aspect=(0.8, 1.2),
    shift=0.08,
    edge=(60, 140),
    contrast=(60, 160),
    dark=0.25,
    noise=(10, 60),
    clutter=1,
)
IMAGENET = Look(
    name="imagenet",
    characters=THOUSAND,
    side=32,
    channels=3,
    size=(0.45, 0.8),
    turn=0.25,
    shear=0.4,
    aspect=(0.8, 1.2),
    shift=0.1,
    edge=(60, 170),
    contrast=(15, 80),
    dark=0.1,
    noise=(20, 90),
    clutter=3,
)


def stream(look: Look, seed: int, *block: int) -> np.random.Generator:
    """Return the random stream of one block of a set's images."""
    return np.random.Generator(np.random.PCG64([seed, *look.name.encode(), *block]))


def images(look: Look, labels: np.ndarray, rng: np.random.Generator, chunk: int = CHUNK) -> np.ndarray:
    """Draw one image per label.

    Args:
        look: distribution of the images.
        labels: positions in `look.characters`, integers (n,).
        rng: random stream.
        chunk: number of images drawn at a time; does not affect the result.

    Returns:
        Images (n, channels, side, side), uint8.
    """
    beside = len(look.characters) + rng.integers(len(CLUTTER), size=(look.clutter, len(labels)))
    hills, first, count = _hills(look.characters + CLUTTER, np.unique([labels, *beside]))
    layers = [_placed(look, first[who] + rng.integers(count[who]), rng, beside=True) for who in beside]
    layers.append(_placed(look, first[labels] + rng.integers(count[labels]), rng))
    colours = _colours(look, len(labels), rng)
    grain = rng.integers(-128, 128, (len(labels), look.channels, look.side, look.side), np.int8)
    result = np.empty(grain.shape, np.uint8)
    for start in range(0, len(labels), chunk):
        part = slice(start, start + chunk)
        result[part] = _painted(look, hills, [layer.part(part) for layer in layers], colours[:, part], grain[part])
    return result


def _hills(characters: str, used: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the flat templates of the characters at `used`, and each character's first template and template count."""
    first, count = np.zeros((2, len(characters)), np.int64)
    hills: list[np.ndarray] = []
    for index in used:
        shapes = templates(characters[index])
        first[index], count[index] = len(hills), len(shapes)
        hills += shapes
    return np.stack(hills).reshape(-1), first, count


@dataclass(frozen=True)
class _Layer:
    """One character in each of n images: its template and the affine map from image to template."""

    shape: np.ndarray  # (n,) index of a template
    matrix: np.ndarray  # (2, 2, n) template pixels per half image pixel, times 2^16; axes: template, image; down, right
    centre: np.ndarray  # (2, n) position of the image's centre in the template, times 2^16
    edge: np.ndarray  # (n,) see `Look.edge`

    def part(self, part: slice) -> "_Layer":
        return _Layer(self.shape[part], self.matrix[:, :, part], self.centre[:, part], self.edge[part])


def _uniform(rng: np.random.Generator, bounds: Range, size: int) -> np.ndarray:
    return bounds[0] + (bounds[1] - bounds[0]) * rng.random(size)


def _placed(look: Look, shape: np.ndarray, rng: np.random.Generator, beside: bool = False) -> _Layer:
    """Draw affine maps from images to templates; `beside` shifts the characters by half an image to one side."""
    n = len(shape)
    zoom = EXTENT / (_uniform(rng, look.size, n) * look.side)  # template pixels per image pixel
    half = _uniform(rng, (-look.turn, look.turn), n)
    cos, sin = (1 - half * half) / (1 + half * half), 2 * half / (1 + half * half)
    shear = _uniform(rng, (-look.shear, look.shear), n)
    wide = _uniform(rng, look.aspect, n)
    shift = np.stack([_uniform(rng, (-look.shift, look.shift), n) for _ in range(2)]) * look.side
    if beside:
        shift += look.side * np.array([[0, 1, 0, -1], [1, 0, -1, 0]])[:, rng.integers(4, size=n)] * 0.5
    matrix = np.stack([cos, -sin, (sin + shear * cos) / wide, (cos - shear * sin) / wide]).reshape(2, 2, n) * zoom
    centre = SIDE / 2 - 0.5 - (matrix[:, 0] * shift[0] + matrix[:, 1] * shift[1])
    return _Layer(shape, _fixed(matrix / 2), _fixed(centre), _fixed(_uniform(rng, look.edge, n)) >> 16)


def _fixed(values: np.ndarray) -> np.ndarray:
    return np.floor(values * 65536).astype(np.int32)


def _cover(look: Look, hills: np.ndarray, layer: _Layer) -> np.ndarray:
    """Return the fraction of each pixel that a character covers, in 256ths: int32 (n, side, side)."""
    half = np.arange(1 - look.side, look.side, 2, dtype=np.int32)  # distances from the centre in half pixels
    place = []
    for axis in (0, 1):
        down = layer.matrix[axis, 0][:, None, None] * half[:, None]
        right = layer.matrix[axis, 1][:, None, None] * half
        place.append(np.clip((layer.centre[axis][:, None, None] + down + right) >> 8, 0, (SIDE - 1) * 256 - 1))
    row, column = place  # in 256ths of a template pixel
    at = (row >> 8) * SIDE + (column >> 8) + (layer.shape.astype(np.int32) * (SIDE * SIDE))[:, None, None]
    row, column = row & 255, column & 255
    upper = hills[at] * (256 - column) + hills[at + 1] * column
    lower = hills[at + SIDE] * (256 - column) + hills[at + SIDE + 1] * column
    height = (upper * (256 - row) + lower * row) >> 16
    return np.clip((height - layer.edge[:, None, None]) * 4 + 128, 0, 256)


def _colours(look: Look, n: int, rng: np.random.Generator) -> np.ndarray:
    """Draw background colours (upper left, lower right), layer colours, noise: int32 (4 + clutter, n, channels)."""
    contrast = _uniform(rng, look.contrast, n)
    dark = rng.random(n) < look.dark
    ground = _uniform(rng, (0, 1), n) * (255 - contrast) * (look.channels > 1)
    ink = np.where(dark, ground, ground + contrast)
    ground = np.where(dark, ground + contrast, ground)
    noise = np.repeat(_uniform(rng, look.noise, n)[:, None], look.channels, 1)
    if look.channels == 1:
        return np.floor(np.stack([ground, ground, ink, noise[:, 0]]))[:, :, None].astype(np.int32)
    tint = rng.random((3 + look.clutter, n, look.channels)) * 80 - 40
    other = (ground + ink) / 2
    means = np.stack([ground, ground, *[other] * look.clutter, ink])[:, :, None]
    return np.floor(np.concatenate([np.clip(means + tint, 0, 255), noise[None]])).astype(np.int32)


def _painted(look: Look, hills: np.ndarray, layers: list[_Layer], colours: np.ndarray, grain: np.ndarray) -> np.ndarray:
    """Compose background, layers and noise: uint8 (n, channels, side, side)."""
    near, far, *inks, noise = colours[..., None, None]
    way = np.add.outer(np.arange(look.side), np.arange(look.side)).astype(np.int32)
    image = near + (far - near) * way // (2 * look.side - 2)
    for layer, ink in zip(layers, inks, strict=True):
        cover = _cover(look, hills, layer)[:, None]
        image = image + (((ink - image) * cover) >> 8)
    grain = (grain * noise) >> 7
    image = image + (grain if look.channels > 1 else (grain * cover) >> 8)
    return np.clip(image, 0, 255).astype(np.uint8)
