"""A trial: corrections that are put in force, and questions that are asked then.

Answers are generated freely, through the public API, so that any method can be tried.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from tqdm import tqdm

from liveedit.benchmark.metrics import bootstrap, same_answer
from liveedit.correction import Correction
from liveedit.correction.images import Pictures
from liveedit.data.emoji_edit.scene import Scene
from liveedit.data.photo_edit.photo import Photo
from liveedit.data.resaving import Resaved
from liveedit.data.views import Picture, open_view
from liveedit.editor import EditedModel

_BATCH = 32
_TOKENS = 24  # longest answer
_SEED = 46

Numbered: TypeAlias = tuple[int, Correction]  # with the number of what it is about


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question that is asked with all corrections in force.

    Args:
        label: What it is counted under.
        about: Number of what it is about; questions about the same are resampled together.
        picture: What is seen, if anything; one that is described is opened when it is asked about.
        prompt: What is asked.
        target: The right answer; None if the unedited model's own answer is wanted.
    """

    label: str
    about: int
    picture: Pictures | Picture
    prompt: str
    target: str | None


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What is put in force, and what is asked.

    Args:
        corrections: In one batch after the other; each correction of a later batch should put one
            out of force.
        questions: Asked in the end.
    """

    corrections: Sequence[Sequence[Numbered]]
    questions: Sequence[Question]

    @property
    def superseded(self) -> int:
        """How many edits should be out of force in the end."""
        return sum(len(some) for some in self.corrections[1:])

    def limited(self, limit: int) -> Trial:
        """About a few things alone, drawn at random, always the same ones.

        Args:
            limit: At most so many corrections in a batch, but all of at least one thing.
        """
        of_each = Counter(about for about, _ in self.corrections[0])
        drawn = np.random.default_rng(_SEED).permutation(list(of_each))
        sizes = np.cumsum([of_each[about] for about in drawn])
        left_out = set(drawn[max(1, int((sizes <= limit).sum())) :].tolist())
        return Trial(
            corrections=[
                [(about, one) for about, one in some if about not in left_out]
                for some in self.corrections
            ],
            questions=[one for one in self.questions if one.about not in left_out],
        )


@dataclass(frozen=True, kw_only=True)
class Answered:
    """A question with its answers.

    Args:
        question: What was asked.
        before: What the unedited model says, where that was asked.
        after: What the edited model says.
    """

    question: Question
    before: str | None
    after: str

    @property
    def right(self) -> bool:
        """Whether it says what is wanted."""
        wanted = self.question.target if self.before is None else self.before
        assert wanted is not None
        return same_answer(self.after, wanted)


@dataclass(kw_only=True)
class Outcome:
    """What came of a trial.

    Args:
        answered: All questions.
        reached: How many corrections were reached when they were made.
        in_force, superseded: How many edits are in force in the end, and how many are not.
        wanted: How many should be superseded.
        targets: Of all corrections.
        together: How many edits are in force at a time, at most.
    """

    answered: list[Answered] = field(default_factory=list)
    reached: int
    in_force: int
    superseded: int
    wanted: int
    targets: frozenset[str]
    together: int

    def as_json(self) -> dict[str, Any]:
        """Shares in per cent with their intervals (95%), by label."""
        by_label: dict[str, list[Answered]] = defaultdict(list)
        for one in self.answered:
            by_label[one.question.label].append(one)
        return {
            "corrections": self.in_force + self.superseded,
            "together": self.together,
            "reached": self.reached,
            "in_force": self.in_force,
            "superseded": self.superseded,
            "superseded_wanted": self.wanted,
            "questions": {label: self._figures(some) for label, some in by_label.items()},
        }

    def _figures(self, some: Sequence[Answered]) -> dict[str, Any]:
        right = np.array([one.right for one in some], dtype=float)
        low, high = bootstrap(right, np.array([one.question.about for one in some]))
        found = {
            "right": round(100 * right.mean(), 2),
            "interval": [round(100 * low, 2), round(100 * high, 2)],
            "n": len(some),
        }
        if some[0].question.target is None:
            wrong = [one for one in some if not one.right and one.after in self.targets]
            found["answered_with_a_correction"] = round(100 * len(wrong) / len(some), 2)
        return found


def run_trial(model: EditedModel, trial: Trial, *, title: str) -> Outcome:
    """Put the corrections in force in a store of their own, and ask.

    Args:
        model: A model, whose store is left alone.
        trial: What to do.
        title: For the progress bar.
    """
    edited = EditedModel(model.method)
    outcomes = [
        made
        for some in trial.corrections
        for made in edited.edit_many([one for _, one in some], keep=True, progress=True)
    ]
    in_force = len(edited.edits)
    asked = trial.questions
    order = sorted(range(len(asked)), key=lambda at: len(asked[at].prompt))  # little padding
    answered: dict[int, Answered] = {}
    with tqdm(total=len(asked), desc=title, unit="question") as bar:
        for start in range(0, len(asked), _BATCH):
            places = order[start : start + _BATCH]
            some = [asked[at] for at in places]
            before: Sequence[str | None] = [None] * len(some)
            if any(one.target is None for one in some):
                # in the very same batch: padding alone changes what is said in bfloat16
                with edited.disabled():
                    before = _answers(edited, some)
            after = _answers(edited, some)
            for at, one, old, new in zip(places, some, before, after, strict=True):
                unedited = old if one.target is None else None
                answered[at] = Answered(question=one, before=unedited, after=new)
            bar.update(len(some))
    return Outcome(
        answered=[answered[at] for at in range(len(asked))],
        reached=sum(bool(made.reached) for made in outcomes),
        in_force=in_force,
        superseded=len(outcomes) - in_force,
        wanted=trial.superseded,
        together=in_force,
        targets=frozenset(one.target for some in trial.corrections for _, one in some),
    )


def joined(outcomes: Sequence[Outcome]) -> Outcome:
    """Of several groups that were in force one after the other."""
    return Outcome(
        answered=[one for outcome in outcomes for one in outcome.answered],
        reached=sum(one.reached for one in outcomes),
        in_force=sum(one.in_force for one in outcomes),
        superseded=sum(one.superseded for one in outcomes),
        wanted=sum(one.wanted for one in outcomes),
        targets=frozenset().union(*(one.targets for one in outcomes)),
        together=max(one.together for one in outcomes),
    )


def _opened(picture: Pictures | Picture) -> Pictures:
    if isinstance(picture, Scene | Photo | Resaved | Path):
        return open_view(picture)
    return picture


def _answers(model: EditedModel, some: Sequence[Question]) -> list[str]:
    found: list[str] = model.generate(
        [_opened(one.picture) for one in some], [one.prompt for one in some], max_new_tokens=_TOKENS
    )
    return found
