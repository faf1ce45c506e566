"""One row of a benchmark: a correction, and everything it is tested on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeAlias

from liveedit.data.emoji_edit.scene import Scene

# a file below the folder of pictures, or what emoji-edit draws; equal means the same picture
Picture: TypeAlias = PurePosixPath | Scene


@dataclass(frozen=True, kw_only=True)
class TextLocality:
    """A question without a picture whose answer must stay what it was (T-Loc)."""

    question: str
    answer: str


@dataclass(frozen=True, kw_only=True)
class ImageLocality:
    """A question about an unrelated picture whose answer must stay what it was (M-Loc).

    Args:
        image: The unrelated picture.
        question: What is asked about it.
        answers: Right answers, the first one first in the file; empty where the benchmark has none.
    """

    image: Picture
    question: str
    answers: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PortabilityHop:
    """A question about the corrected picture that follows from the correction.

    Args:
        length: Facts between picture and answer, 1 for the next one.
        question: What is asked.
        answer: What follows.
        edited_question: Text-only fact that is corrected, too, before this is asked; or None.
        edited_answer: What that fact is corrected to; or None.
    """

    length: int
    question: str
    answer: str
    edited_question: str | None = None
    edited_answer: str | None = None


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """One row.

    Args:
        row: Position in the file, or in the split, counted from 0.
        image: The corrected picture.
        prompt: The corrected question (Rel).
        target: The answer the edit asks for.
        former_answer: What was answered before, as the file states it; None if it does not.
        rephrased_prompt: The question in other words (T-Gen).
        rephrased_image: Another picture of the same (M-Gen).
        text_locality: Probe without a picture.
        image_locality: Probe with an unrelated picture.
        portability: Questions that follow from the correction; most benchmarks have none.
        concepts: What the corrected picture shows, where the benchmark says it.
    """

    row: int
    image: Picture
    prompt: str
    target: str
    former_answer: str | None
    rephrased_prompt: str
    rephrased_image: Picture
    text_locality: TextLocality
    image_locality: ImageLocality
    portability: tuple[PortabilityHop, ...] = ()
    concepts: frozenset[str] = frozenset()

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """The corrected, the rephrased and the unrelated picture."""
        return self.image, self.rephrased_image, self.image_locality.image
