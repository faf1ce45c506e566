"""Variety of hand: drawings restyled, and further drawings that both artists made.

Two artists are few to learn from what stays the same when somebody else draws a thing. So drawings
are also shown without their outlines or with others, mirrored and stretched, and everything that
both artists drew takes part, whether or not it is one of the concepts.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache

import numpy as np
from PIL import Image

from liveedit.data.emoji_edit.concepts import (
    DRAWINGS,
    Concept,
    Drawing,
    all_concepts,
    concepts_by_name,
)
from liveedit.data.emoji_edit.drawings import rasterise, rasterise_svg, svg_folder, svg_of
from liveedit.data.emoji_edit.scene import Placement

_RESTYLED = 0.3  # share of drawings with other outlines
_MIRRORED = 0.3
_STRETCH = 0.15
_OUTLINE_GROUP = re.compile(r'<g id="line">.*?</g>', re.DOTALL)
_OUTLINE = '<g stroke="#000" stroke-width="1" stroke-linejoin="round">'


def held_out_drawings() -> dict[str, Drawing]:
    """For one concept in ten, the drawing that is never trained on (each hand as often)."""
    chosen = all_concepts()[3::10]
    return {concept.name: DRAWINGS[index % 2] for index, concept in enumerate(chosen)}


@cache
def unnamed_drawings() -> dict[str, Concept]:
    """What both artists drew and is no concept, by its code point in hexadecimal.

    Only single code points (no families, skin tones or flags), and none whose Unicode name shares
    a word with a concept of which a drawing is held out: it might show nearly the same.
    """
    words = {word for name in held_out_drawings() for word in name.lower().split()}
    taken = {concept.twemoji for concept in all_concepts()}
    stems = [{path.stem.lower() for path in svg_folder(d).glob("*.svg")} for d in DRAWINGS]
    found = {}
    for stem in sorted(stems[0] & stems[1] - taken):
        if "-" in stem or not 0x2100 <= (code := int(stem, 16)) < 0x1FB00:
            continue
        name = unicodedata.name(chr(code), "").lower()
        if not words & set(re.findall("[a-z]+", name)):
            found[stem] = Concept(
                name=stem, category="unnamed", openmoji=stem.upper(), twemoji=stem
            )
    return found


def restyle(placement: Placement, *, random: np.random.Generator) -> Image.Image:
    """Draw a thing as a third artist might: other outlines, mirrored, stretched; RGBA."""
    concept = concepts_by_name().get(placement.concept) or unnamed_drawings()[placement.concept]
    restyled, mirrored = random.random(2) < (_RESTYLED, _MIRRORED)
    stretch = random.uniform(1 - _STRETCH, 1 + _STRETCH)
    drawn = _other_outlines(concept, placement.drawing) if restyled else None
    drawn = drawn or rasterise(concept, placement.drawing)
    if mirrored and concept.category != "flag":
        drawn = drawn.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return drawn.resize((max(1, round(drawn.width * stretch)), drawn.height))


@lru_cache(maxsize=2048)
def _other_outlines(concept: Concept, drawing: Drawing) -> Image.Image | None:
    """OpenMoji without its outlines, Twemoji with some; None if nothing is left."""
    svg = svg_of(concept, drawing)
    if drawing == "openmoji":
        svg = _OUTLINE_GROUP.sub("", svg)
    else:
        head = svg.index(">") + 1
        svg = svg[:head] + _OUTLINE + svg[head:].replace("</svg>", "</g></svg>")
    try:
        drawn = rasterise_svg(svg)
    except ValueError:  # the outlines had groups of their own, and half of them is left
        return None
    return drawn if drawn.getbbox() else None
