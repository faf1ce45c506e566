"""Corrections of a public benchmark: rows of an annotation file with their pictures.

The files have no strict probes. They are derived from the file's own rows: RI asks the corrected
question about the unrelated picture of another row, CI asks another row's question about unrelated
pictures of the corrected one. Neither is what any row corrects; where rows name what their pictures
show, CI's question does not ask for the same in other words, either.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import eq
from pathlib import Path
from typing import cast

import numpy as np

from liveedit.data.annotations.record import Annotation, Picture
from liveedit.data.asked_alike import AskedAlike
from liveedit.data.photo_edit.photo import AGAIN
from liveedit.data.resaving import Resaved
from liveedit.errors import BadAnnotations

_SEED = 20_262


@dataclass(frozen=True, kw_only=True)
class FileCase:
    """One row, with everything it is tested on; questions are in their affixes.

    Args:
        index: Position in the file.
        target: The answer the edit asks for.
        image, prompt: What is corrected.
        rephrased_prompt: The question in other words (T-Gen).
        rephrased_image: Another picture of the same (M-Gen), or the same one, cropped and saved
            anew, where there is no other.
        fact_prompt: A question without a picture (T-Loc).
        other_image, other_prompt: An unrelated picture and question (M-Loc).
        strict_image: Another picture for the corrected question (RI).
        strict_prompt: Another question about the corrected picture (CI).
    """

    index: int
    target: str
    image: Path
    prompt: str
    rephrased_prompt: str
    rephrased_image: Path | Resaved
    fact_prompt: str
    other_image: Path
    other_prompt: str
    strict_image: Path
    strict_prompt: str


@dataclass(frozen=True, kw_only=True)
class FactCase:
    """A fact that is corrected too, before a hop is asked; text-only.

    Args:
        index: Position among the facts.
        owner: Position of the correction it belongs to.
        prompt: The corrected question.
        target: The answer the edit asks for.
    """

    index: int
    owner: int
    prompt: str
    target: str


@dataclass(frozen=True, kw_only=True)
class HopCase:
    """A question that follows from a correction (portability).

    Args:
        index: Position among the hops.
        owner: Position of the correction it follows from.
        length: Facts between picture and answer.
        image: The corrected picture.
        prompt: What is asked.
        target: What follows.
    """

    index: int
    owner: int
    length: int
    image: Path
    prompt: str
    target: str


def file_cases(
    rows: Sequence[Annotation], images: Path, stand_ins: Mapping[Path, Path] | None = None
) -> list[FileCase]:
    """Every row with its strict probes.

    Args:
        rows: All that may be in force together, in their affixes.
        images: Folder of pictures.
        stand_ins: What stands in for corrected and unrelated pictures that are not there.

    Raises:
        BadAnnotations: The rows leave nothing to ask.
        MissingExtra: The rows name what their pictures show, and there is no sentence encoder.
    """
    random = np.random.default_rng(_SEED)

    def place(picture: Picture) -> Path:
        named = images / cast(Path, picture)
        return (stand_ins or {}).get(named, named)

    corrected = {(place(row.image), row.prompt) for row in rows}
    about = {place(picture) for row in rows for picture in (row.image, row.rephrased_image)}
    pictures = [row.image_locality.image for row in rows]
    prompts = [row.image_locality.question for row in rows]
    alike = _alike(rows, prompts)

    def another(row: Annotation) -> Path | Resaved:
        own, other = (images / cast(Path, one) for one in (row.image, row.rephrased_image))
        real = place(row.image) == own
        if own != other and (stand_ins is None or (real and other.is_file())):
            return other
        return Resaved(place(row.image), AGAIN)

    def cases() -> Iterator[FileCase]:
        for row in rows:
            picture = next(
                (
                    pictures[at]
                    for at in random.permutation(len(rows))
                    if place(pictures[at]) not in about and not _shows(pictures[at], row.concepts)
                ),
                None,
            )
            prompt = next(
                (
                    prompts[at]
                    for at in random.permutation(len(rows))
                    if not alike(row, prompts[at])
                    and (place(row.image), prompts[at]) not in corrected
                ),
                None,
            )
            if picture is None or prompt is None:
                what = "picture (RI)" if picture is None else "question (CI)"
                raise BadAnnotations(
                    f"row {row.row} (counted from 0): no row has another unrelated {what} to test "
                    "it with; take more rows"
                )
            yield FileCase(
                index=row.row,
                target=row.target,
                image=place(row.image),
                prompt=row.prompt,
                rephrased_prompt=row.rephrased_prompt,
                rephrased_image=another(row),
                fact_prompt=row.text_locality.question,
                other_image=place(row.image_locality.image),
                other_prompt=row.image_locality.question,
                strict_image=place(picture),
                strict_prompt=prompt,
            )

    return list(cases())


def _alike(rows: Sequence[Annotation], asked: Sequence[str]) -> Callable[[Annotation, str], bool]:
    """Whether a question asks what a row corrects."""
    own = [question for row in rows for question in (row.prompt, row.rephrased_prompt)]
    near = AskedAlike([*own, *asked]) if any(row.concepts for row in rows) else eq
    return lambda row, question: near(row.prompt, question) or near(row.rephrased_prompt, question)


def _shows(picture: Picture, concepts: frozenset[str]) -> bool:
    """Whether a picture lies in the folder of one of the concepts (VLKEB has one for each)."""
    return bool(concepts & set(cast(Path, picture).parts[:-1]))


def hop_cases(
    rows: Sequence[Annotation], images: Path, stand_ins: Mapping[Path, Path] | None = None
) -> tuple[list[HopCase], list[FactCase]]:
    """The hops of all rows, and the facts that are corrected with them; equal facts are one."""
    places = stand_ins or {}
    hops = [(owner, row, hop) for owner, row in enumerate(rows) for hop in row.portability]
    facts = dict.fromkeys(
        (owner, hop.edited_question, hop.edited_answer)
        for owner, _, hop in hops
        if hop.edited_question is not None
    )
    return (
        [
            HopCase(
                index=index,
                owner=owner,
                length=hop.length,
                image=places.get(images / cast(Path, row.image), images / cast(Path, row.image)),
                prompt=hop.question,
                target=hop.answer,
            )
            for index, (owner, row, hop) in enumerate(hops)
        ],
        [
            FactCase(index=index, owner=owner, prompt=question or "", target=answer or "")
            for index, (owner, question, answer) in enumerate(facts)
        ],
    )
