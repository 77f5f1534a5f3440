"""Shapes of characters in the fonts that matplotlib ships.

Templates are bit-identical for the same versions of matplotlib and Pillow: FreeType's outlines and rasteriser, and the
smoothing here, use integer arithmetic.
"""

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageFont

SIDE = 64  # side of a template in pixels
EXTENT = 42  # longer side of the character in a template, in pixels
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
    """Return the ink of a character, 0 to 255, cropped to its bounding box."""
    core = _font(font, size).getmask(character, mode="L")
    image = Image.frombytes("L", core.size, bytes(core))
    return image.crop(image.getbbox())


@cache
def _missing(font: str) -> bytes:
    """Return the glyph that the font draws for missing characters."""
    return _mask("\uffff", font, EXTENT).tobytes()


@cache
def template(character: str, font: str) -> np.ndarray | None:
    """Return the smoothed shape of a character in a font.

    Returns:
        Centred character, uint8 (SIDE, SIDE), 0 in the background and up to 255 inside strokes; its longer side is
        EXTENT pixels before smoothing. None if the font lacks the character or draws nothing for it.
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
    """Smooth rows and columns with the binomial weights 1, 4, 6, 4, 1."""
    for axis in (0, 1):
        near = np.roll(image, 1, axis) + np.roll(image, -1, axis)
        far = np.roll(image, 2, axis) + np.roll(image, -2, axis)
        image = (6 * image + 4 * near + far + 8) >> 4
    return image


@cache
def templates(character: str) -> tuple[np.ndarray, ...]:
    """Return the templates of a character in all FONTS that contain it."""
    return tuple(shape for font in FONTS if (shape := template(character, font)) is not None)
