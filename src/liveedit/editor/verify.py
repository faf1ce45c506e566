"""Which corrections still hold, and new edits for those that do not.

Edits hold for the model that they were made with. The same model in another precision, or
quantised, computes other numbers: most edits hold there, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal
from uuid import uuid4

from tqdm import tqdm

from liveedit.editor.answers import answers_of_any, asked_together
from liveedit.editor.making import write_edits
from liveedit.editor.model import EditedModel
from liveedit.errors import LiveEditError
from liveedit.methods.outcome import EditOutcome
from liveedit.store.edit import Edit
from liveedit.store.recalled import Recalled, recall

_NOT_KEPT = (
    "its picture was not kept, only a thumbnail; give it with: liveedit store pictures --add"
)
_UNDONE = "it held until others were made anew; run it again with --remake"


@dataclass(frozen=True, kw_only=True)
class Verified:
    """Whether an edit holds.

    Args:
        edit: The edit.
        holds: Whether its own question, about its own picture, is answered with its target, all
            edits in force; None if it cannot be asked.
        shown: Whether it was asked about the picture itself (``whole``, also without a picture),
            about its thumbnail, or not at all.
        answer: What the model says instead.
        problem: Why it could not be asked, or not be made anew.
        remade: The edit that was made in its place.
    """

    edit: Edit
    holds: bool | None
    shown: Literal["whole", "thumbnail", "missing"]
    answer: str | None = None
    problem: str | None = None
    remade: EditOutcome | None = None


def verify(
    model: EditedModel,
    *,
    namespace: str | None = None,
    remake: bool = False,
    batch: int = 32,
    progress: bool = False,
) -> list[Verified]:
    """Ask every edit in force its own question; answers are generated, and compared exactly.

    Args:
        model: With the store.
        namespace: Only the edits of this set.
        remake: Make those anew that do not hold. The new edit has the same author, reason and
            words, and supersedes the old one. What its picture is not kept of is left as it is.
        batch: How many are made together, as one revision.
        progress: Show a progress bar.

    Returns:
        What was found of each, the oldest edit first.

    Raises:
        StoreError: The store cannot be read or written; earlier batches were.
    """
    edits = [one for one in model.store.edits if namespace in (None, one.namespace)]
    found: dict[str, Verified] = {}
    groups = asked_together(model.method, [edit.namespace for edit in edits])
    with tqdm(total=len(edits), desc="verifying", unit="edit", disable=not progress) as bar:
        for rows in groups:
            recalled = [recall(model.store, edits[row]) for row in rows]
            found |= {one.edit.id: one for one in _asked(model, recalled)}
            bar.update(len(rows))
    if remake:
        wrong = [edit for edit in edits if found[edit.id].holds is False]
        with tqdm(total=len(wrong), desc="remaking", unit="edit", disable=not progress) as bar:
            for start in range(0, len(wrong), batch):
                some = wrong[start : start + batch]
                found |= _remade(model, [found[edit.id] for edit in some])
                bar.update(len(some))
        if model.method.abilities.revoke == "replay" and any(
            one.remade is not None for one in found.values()
        ):
            found |= _undone(model, [one for one in found.values() if one.holds])
    return [found[edit.id] for edit in edits]


def _asked(model: EditedModel, recalled: Sequence[Recalled]) -> list[Verified]:
    """What the model says to some."""
    known = [(one.edit, one.correction) for one in recalled if one.correction is not None]
    answers = answers_of_any(
        model.method,
        model.store,
        [correction for _, correction in known],
        [edit.namespace for edit, _ in known],
    )
    said = {edit.id: answer for (edit, _), answer in zip(known, answers, strict=True)}
    found = []
    for one in recalled:
        answer = said.get(one.edit.id)
        if one.correction is None or isinstance(answer, LiveEditError):
            problem = one.problem or str(answer)
            found.append(Verified(edit=one.edit, holds=None, shown=one.shown, problem=problem))
        else:
            holds = answer is None
            found.append(Verified(edit=one.edit, holds=holds, shown=one.shown, answer=answer))
    return found


def _undone(model: EditedModel, held: Sequence[Verified]) -> dict[str, Verified]:
    """Those that do not hold any more: edits that build on each other may undo one another."""
    edits = [one.edit for one in held]
    again: list[Verified] = []
    for rows in asked_together(model.method, [edit.namespace for edit in edits]):
        again += _asked(model, [recall(model.store, edits[row]) for row in rows])
    return {one.edit.id: replace(one, problem=_UNDONE) for one in again if one.holds is False}


def _remade(model: EditedModel, some: Sequence[Verified]) -> dict[str, Verified]:
    """New edits in place of some that do not hold, as one revision."""
    found = {one.edit.id: one for one in some}
    recalled = []
    for one in some:
        again = recall(model.store, one.edit)
        if again.shown == "whole":
            recalled.append(again)
        else:
            found[one.edit.id] = replace(one, problem=_NOT_KEPT)
    stated = [one.correction for one in recalled if one.correction is not None]
    if not stated:
        return found
    edits = [
        replace(
            one.edit,
            id=uuid4().hex[:16],
            created=datetime.now(UTC),
            supersedes=(one.edit.id, *one.edit.supersedes),
        )
        for one in recalled
    ]
    outcomes = write_edits(
        model.method,
        model.store,
        stated,
        edits,
        batch=len(edits),
        keep=False,
        skip_unreached=True,
        supersede="never",
        progress=False,
    )
    for old, made in zip(recalled, outcomes, strict=True):
        one = found[old.edit.id]
        problem = f"made anew it would be answered {made.answer!r}" if made.refused else None
        found[old.edit.id] = replace(one, problem=problem, remade=None if made.refused else made)
    return found
