"""Scenes: one to three drawings placed on a ground, described by values and rendered on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from PIL import Image

from liveedit.data.emoji_edit.concepts import Drawing, concepts_by_name, other_drawing
from liveedit.data.emoji_edit.drawings import rasterise

SCENE_SIZE = 256
GROUND_COLOURS: dict[str, tuple[int, int, int]] = {
    "white": (250, 250, 250),
    "grey": (160, 160, 165),
    "black": (50, 50, 55),
    "red": (225, 90, 85),
    "orange": (250, 170, 85),
    "yellow": (250, 230, 110),
    "green": (130, 195, 120),
    "blue": (120, 165, 235),
    "purple": (175, 130, 215),
    "pink": (250, 185, 205),
    "brown": (165, 120, 85),
}
Pattern = Literal["plain", "gradient", "stripes", "dots", "noise"]
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One drawing in a scene.

    Args:
        concept: Name of the concept.
        drawing: Whose hand drew it.
        x: Centre, pixels from the left edge of a picture of ``SCENE_SIZE``.
        y: Centre, pixels from the top edge.
        size: Longer side in pixels.
        angle: Rotation in degrees, counter-clockwise.
    """

    concept: str
    drawing: Drawing
    x: int
    y: int
    size: int
    angle: int = 0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a picture shows, left to right, and the ground it stands on."""

    placements: tuple[Placement, ...]
    ground: str
    pattern: Pattern
    seed: int

    @property
    def concepts(self) -> tuple[str, ...]:
        """Names of the concepts shown, left to right."""
        return tuple(placement.concept for placement in self.placements)

    def redrawn(self) -> Scene:
        """The same scene in the other artist's hand."""
        return replace(
            self,
            placements=tuple(
                replace(placement, drawing=other_drawing(placement.drawing))
                for placement in self.placements
            ),
        )


def arrange(
    concepts: tuple[str, ...], drawings: tuple[Drawing, ...], random: np.random.Generator
) -> Scene:
    """Place one to three concepts from left to right, at random within their share of the width."""
    count = len(concepts)
    sizes = {1: (120, 215), 2: (92, 122), 3: (68, 84)}[count]
    share = SCENE_SIZE / count
    placements = []
    for index, (concept, drawing) in enumerate(zip(concepts, drawings, strict=True)):
        size = int(random.integers(*sizes, endpoint=True))
        slack = max((share - size) / 2, 0)
        x = share * (index + 0.5) + random.uniform(-slack, slack)
        y = SCENE_SIZE / 2 + random.uniform(-1, 1) * min((SCENE_SIZE - size) / 2, 48)
        placements.append(
            Placement(
                concept=concept,
                drawing=drawing,
                x=round(x),
                y=round(y),
                size=size,
                angle=int(random.integers(-15, 15, endpoint=True)),
            )
        )
    return Scene(
        placements=tuple(placements),
        ground=str(random.choice(list(GROUND_COLOURS))),
        pattern=PATTERNS[random.integers(len(PATTERNS))],
        seed=int(random.integers(2**31)),
    )


def render(scene: Scene, stamp: Callable[[Placement], Image.Image] | None = None) -> Image.Image:
    """Draw a scene; the same scene gives the same pixels.

    Args:
        stamp: Draws one thing, RGBA; by default as the artist did.

    Returns:
        RGB picture of ``SCENE_SIZE`` x ``SCENE_SIZE``.
    """
    random = np.random.default_rng(scene.seed)
    canvas = Image.fromarray(_ground(GROUND_COLOURS[scene.ground], scene.pattern, random))
    for placement in scene.placements:
        drawn = (stamp or _as_drawn)(placement)
        scale = placement.size / max(drawn.size)
        drawn = drawn.resize(
            (max(1, round(drawn.width * scale)), max(1, round(drawn.height * scale))),
            Image.Resampling.BILINEAR,
        )
        drawn = drawn.rotate(placement.angle, Image.Resampling.BILINEAR, expand=True)
        corner = (placement.x - drawn.width // 2, placement.y - drawn.height // 2)
        canvas.paste(drawn, corner, drawn)
    return canvas


def _as_drawn(placement: Placement) -> Image.Image:
    return rasterise(concepts_by_name()[placement.concept], placement.drawing)


def _ground(
    colour: tuple[int, int, int], pattern: Pattern, random: np.random.Generator
) -> np.ndarray:
    base = np.array(colour, dtype=np.float32) + random.normal(0, 6, 3)
    depth = random.uniform(10, 26)
    rows, columns = _grid()
    phase, angle = random.uniform(0, 2 * np.pi), random.uniform(0, np.pi)
    along = rows * np.sin(angle) + columns * np.cos(angle)
    across = rows * np.cos(angle) - columns * np.sin(angle)
    period = random.uniform(14, 44)
    if pattern == "plain":
        shade = np.zeros_like(rows)
    elif pattern == "gradient":
        shade = along / SCENE_SIZE * 2 - 1
    elif pattern == "stripes":
        shade = np.sign(np.sin(along * 2 * np.pi / period + phase))
    elif pattern == "dots":
        wave = np.sin(along * 2 * np.pi / period + phase) * np.sin(across * 2 * np.pi / period)
        shade = np.where(wave > 0.5, 1.0, 0.0)
    else:
        shade = random.normal(0, 0.6, rows.shape)
    return np.clip(base + depth * shade[..., None], 0, 255).astype(np.uint8)


@lru_cache(maxsize=1)
def _grid() -> tuple[np.ndarray, np.ndarray]:
    return tuple(np.mgrid[0:SCENE_SIZE, 0:SCENE_SIZE].astype(np.float32))
