"""Shapes of characters, from the fonts that matplotlib ships: the same bytes wherever its and Pillow's versions are.

FreeType's outlines and rasteriser, and the smoothing here, are integer arithmetic.
"""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageFont

SIDE = 64  # pixels of a template's side
EXTENT = 42  # pixels of the longer side of the character in it
DEJAVU_SANS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique")
FONTS = (
    *DEJAVU_SANS,
    *(name.replace("Sans", "SansMono") for name in DEJAVU_SANS),
    "DejaVuSerif",
    "DejaVuSerif-Bold",
    "DejaVuSerif-Italic",
    "DejaVuSerif-BoldItalic",
    "STIXGeneral",
    "STIXGeneralBol",
    "STIXGeneralItalic",
    "STIXGeneralBolIta",
)


def _font_file(font: str) -> Path:
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{font}.ttf"


@cache
def _font(font: str, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(_font_file(font)), size, layout_engine=ImageFont.Layout.BASIC)


def _mask(character: str, font: str, size: float) -> Image.Image:
    """The character's ink, 0 to 255, cut to its bounding box."""
    core = _font(font, size).getmask(character, mode="L")
    image = Image.frombytes("L", core.size, bytes(core))
    return image.crop(image.getbbox())


@cache
def _missing(font: str) -> bytes:
    """What the font draws for a character that it does not have."""
    return _mask("\uffff", font, EXTENT).tobytes()


@cache
def template(character: str, font: str) -> np.ndarray | None:
    """The character as a smooth hill, 255 deep in its strokes; None if the font has no ink for it.

    Returns uint8 of shape (SIDE, SIDE); the character is centred, its longer side EXTENT pixels, its borders 0.
    """
    draft = _mask(character, font, EXTENT)
    if not any(draft.tobytes()) or draft.tobytes() == _missing(font):
        return None
    ink = np.asarray(_mask(character, font, EXTENT * EXTENT / max(draft.size)))[:SIDE, :SIDE]
    height, width = ink.shape
    canvas = np.zeros((SIDE, SIDE), np.int32)
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    canvas[top : top + height, left : left + width] = ink
    return _smooth(_smooth(canvas)).astype(np.uint8)


def _smooth(image: np.ndarray) -> np.ndarray:
    """Binomial weights 1 4 6 4 1 along rows and columns."""
    for axis in (0, 1):
        near = np.roll(image, 1, axis) + np.roll(image, -1, axis)
        far = np.roll(image, 2, axis) + np.roll(image, -2, axis)
        image = (6 * image + 4 * near + far + 8) >> 4
    return image


@cache
def templates(character: str) -> tuple[np.ndarray, ...]:
    """The character in each of FONTS that has it."""
    return tuple(shape for font in FONTS if (shape := template(character, font)) is not None)
