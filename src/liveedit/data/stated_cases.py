"""Corrections that people stated, seen from all sides; what they lack is derived, and told.

In words: rephrasings by templates for the kind of question (`rewording`). In pictures: where there
is no other picture of the same, the picture itself, cropped and saved anew. Probes come from the
other corrections of the same file: the question about another picture (RI), another question about
the picture (CI), and an unrelated picture with a question that no row asks about it (M-Loc). Where
all ask the same about all pictures, another question is one of a few general ones, and for
measuring another picture is a drawing.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import eq
from pathlib import Path
from typing import TypeVar

import numpy as np

from liveedit.data.asked_alike import AskedAlike
from liveedit.data.chance import any_of
from liveedit.data.corrections_file import CorrectionRow
from liveedit.data.emoji_edit.concepts import Split
from liveedit.data.emoji_edit.corrections import draw_scene, names_of
from liveedit.data.emoji_edit.facts import Fact, facts_of
from liveedit.data.emoji_edit.families import FAMILIES
from liveedit.data.emoji_edit.free_words import in_a_message
from liveedit.data.emoji_edit.questions import Question
from liveedit.data.emoji_edit.scene import Scene
from liveedit.data.photo_edit.corrections import PhotoCase
from liveedit.data.photo_edit.photo import Photo
from liveedit.data.rewording import reworded, reworded_as_typed
from liveedit.errors import BadAnnotations, MissingExtra

logger = logging.getLogger(__name__)

_SEED = 61
_SHARE_IN_A_MESSAGE = 0.35  # of training's questions that come back
_LOOKED_AT = 2000  # rows that are looked at for a probe
_T = TypeVar("_T")

REPHRASED, SEEN_AGAIN, UNRELATED, TEXT, DRAWN = (
    "question in other words", "other picture of the same", "unrelated picture and question",
    "question without a picture", "drawn picture, as all of the file's are asked the same about",
)  # fmt: skip
# where a file asks one question of all its pictures
_GENERAL = (
    "What is in the background?", "Which colours do you see?", "Is anybody in the picture?",
    "Was this taken indoors or outdoors?", "How many things are in the picture?",
    "What time of day might it be?", "Is there any text in it?", "What is the weather like?",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StatedCases:
    """Corrections with their probes.

    Args:
        cases: One for each row with a picture.
        derived: Of how many rows what was derived.
        left_out: Rows without a picture, by line.
    """

    cases: list[PhotoCase]
    derived: Mapping[str, int]
    left_out: tuple[int, ...]


def stated_cases(
    rows: Sequence[CorrectionRow], split: Split, *, named: bool | None = None
) -> StatedCases:
    """Rows as corrections that can be trained on and measured.

    Args:
        rows: All of one side: no probe comes from elsewhere.
        split: Which side; training meets questions in the midst of messages, too.
        named: Whether rows name what their pictures show, so that most ask for just that; by
            default whether one does. Where stand-ins are shown they did.

    Raises:
        BadAnnotations: The rows leave nothing to ask.
    """
    pictured = [row for row in rows if row.images]
    if len({row.images[0] for row in pictured}) < 2:
        raise BadAnnotations(
            "corrections about two pictures or more are needed, so that one can be asked about "
            "another; add some"
        )
    named = any(row.concept for row in rows) if named is None else named
    drawing = _Drawing(pictured, split, named=named)
    cases = [drawing.case(number) for number in range(len(pictured))]
    left_out = tuple(row.line for row in rows if not row.images)
    return StatedCases(cases=cases, derived=dict(drawing.derived), left_out=left_out)


def divided(
    rows: Sequence[CorrectionRow], held: float = 0.1
) -> tuple[list[CorrectionRow], list[CorrectionRow]]:
    """Rows to train on, and rows to choose settings on; no picture and no concept is in both.

    Args:
        rows: All rows.
        held: Share of the pictures (or concepts) that are held back.
    """
    first: dict[object, object] = {}

    def group(key: object) -> object:
        while first.setdefault(key, key) != key:
            key = first[key]
        return key

    for at, row in enumerate(rows):
        for key in (*row.images, *row.other_images, *([row.concept] if row.concept else [])):
            first[group(key)] = group(at)
    names = list(dict.fromkeys(group(at) for at in range(len(rows))))
    order = np.random.default_rng(_SEED).permutation(len(names))
    back = {names[at] for at in order[: round(held * len(names))]}
    parts: tuple[list[CorrectionRow], list[CorrectionRow]] = ([], [])
    for at, row in enumerate(rows):
        parts[group(at) in back].append(row)
    return parts


class _Drawing:
    """Derives what rows lack from the other rows."""

    def __init__(self, rows: Sequence[CorrectionRow], split: Split, *, named: bool) -> None:
        self.rows, self.split = rows, split
        self.derived: Counter[str] = Counter()
        self.asked = {(path, _bare(row.prompt)) for row in rows for path in row.images}
        unrelated = [_photo(row.locality_image) for row in rows if row.locality_image]
        self.pictures = [*map(_shown, rows), *unrelated]
        self.questions = [row.prompt for row in rows]
        self.questions += [row.locality_prompt for row in rows if row.locality_prompt]
        self.alike = _alike(rows, self.questions) if named else eq

    def case(self, number: int) -> PhotoCase:
        """A row with everything it is tested on."""
        row = self.rows[number]
        random = np.random.default_rng((_SEED, number))
        if not row.rephrasings:
            self.derived[REPHRASED] += 1
        if not row.other_images:
            self.derived[SEEN_AGAIN] += 1
        rephrase = row.rephrasings[0] if row.rephrasings else reworded(row.prompt, random)
        again = reworded_as_typed((*row.rephrasings, row.prompt)[-1], random)
        if self.split == "train" and random.random() < _SHARE_IN_A_MESSAGE:
            again = in_a_message(again, random)
        asks, shown = _bare(row.prompt), _shown(row)
        other, other_prompt = self._unrelated(row, shown, random)
        return PhotoCase(
            index=number,
            scene=shown,
            question=_question(row.prompt, asks),
            target=row.target,
            truth=None,
            rephrase=_question(rephrase, asks),
            fact=self._fact(row, random),
            other_scene=other,
            other_question=_question(other_prompt),
            strict_scene=self._another_picture(row.prompt, shown, random),
            strict_question=_question(self._another_question(shown, random, row)),
            again=_question(again, asks),
        )

    def _fact(self, row: CorrectionRow, random: np.random.Generator) -> Fact:
        if row.text_locality:
            return Fact(split=self.split, question=row.text_locality, rephrase="", answer="")
        self.derived[TEXT] += 1
        return any_of(facts_of(self.split), random)

    def _unrelated(
        self, row: CorrectionRow, shown: Photo, random: np.random.Generator
    ) -> tuple[Photo | Scene, str]:
        """A picture of another row, and a question that no row asks about it."""
        if row.locality_image and row.locality_prompt:
            return _photo(row.locality_image), row.locality_prompt
        self.derived[UNRELATED] += 1
        other = self._another_picture(row.prompt, shown, random)
        return other, self._another_question(other, random)

    def _another_picture(
        self, prompt: str, shown: Photo, random: np.random.Generator
    ) -> Photo | Scene:
        """A picture of something else, about which nobody asks the same."""
        asks = _bare(prompt)
        mine = {shown.file, shown.another}

        def apart(one: Photo) -> bool:
            return one.thing != shown.thing and not mine & {one.file}

        found = _first(
            self.pictures, lambda one: apart(one) and (one.file, asks) not in self.asked, random
        )
        if found is None and self.split == "train":  # where all rows ask the same
            found = _first(self.pictures, apart, random)
        if found is not None:
            return found
        self.derived[DRAWN] += 1
        return draw_scene(names_of(self.split), FAMILIES[0], random)

    def _another_question(
        self, shown: Photo | Scene, random: np.random.Generator, row: CorrectionRow | None = None
    ) -> str:
        """A question that nobody asks about this picture, and that is not what a row asks."""
        file = shown.file if isinstance(shown, Photo) else None
        own = () if row is None else (row.prompt, *row.rephrasings)

        def other(text: str) -> bool:
            return (file, _bare(text)) not in self.asked and not any(
                self.alike(one, text) for one in own
            )

        found = _first(self.questions, other, random)
        if found is not None and (file is not None or random.random() < 0.5):
            return found
        return any_of(_GENERAL, random)


def _alike(rows: Sequence[CorrectionRow], questions: Sequence[str]) -> Callable[[str, str], bool]:
    """Whether two of the questions ask the same, in other words, too."""
    own = [question for row in rows for question in (row.prompt, *row.rephrasings)]
    try:
        return AskedAlike([*own, *questions])
    except MissingExtra as missing:
        logger.warning("questions that ask the same in other words are not told apart: %s", missing)
        return eq


def _first(
    choices: Sequence[_T], fits: Callable[[_T], bool], random: np.random.Generator
) -> _T | None:
    """One of the choices that fit, at random; of many not all are looked at."""
    start = int(random.integers(len(choices)))
    around = (choices[(start + at) % len(choices)] for at in range(min(len(choices), _LOOKED_AT)))
    return next(filter(fits, around), None)


def _shown(row: CorrectionRow) -> Photo:
    return _photo(row.images[0], row.concept, row.other_images)


def _photo(file: Path, concept: str = "", others: Sequence[Path] = ()) -> Photo:
    """What a picture shows is the picture itself where no concept is stated."""
    return Photo(file=file, thing=concept or str(file), another=others[0] if others else None)


def _question(text: str, asks: str = "") -> Question:
    """What is asked is the words: of two wordings nothing says whether they ask the same."""
    return Question(family=asks or _bare(text), thing="", text=text)


def _bare(prompt: str) -> str:
    return " ".join(prompt.casefold().split())
