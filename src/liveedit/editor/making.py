"""Corrections become edits: made in batches, looked at with all others in force, and written."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from tqdm import tqdm

from liveedit.correction import Correction
from liveedit.editor.answers import asked_together, own_questions, wrong_answers
from liveedit.errors import TargetNotReached
from liveedit.methods.base import Method
from liveedit.methods.outcome import EditOutcome, Supersede
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.tensors import Keys


@dataclass(frozen=True, kw_only=True)
class Made:
    """A correction, and all that the store is given of it."""

    correction: Correction
    outcome: EditOutcome
    keys: Keys
    values: dict[str, Tensor]


def write_edits(
    method: Method,
    store: Store,
    corrections: Sequence[Correction],
    edits: Sequence[Edit],
    *,
    batch: int,
    keep: bool,
    skip_unreached: bool,
    supersede: Supersede | None,
    progress: bool,
) -> list[EditOutcome]:
    """Make edits and give them to the store, in a transaction of the caller's.

    Args:
        method: Makes them.
        store: Takes them.
        corrections: What to correct, the oldest first.
        edits: What the store keeps for people.
        batch: How many are made together.
        keep: Targets that are not reached do not matter: the method is believed, if it has looked.
        skip_unreached: Those whose target is not reached are not given to the store.
        supersede: Which earlier edits go out of force; by default as the method is configured.
        progress: Show a progress bar.

    Returns:
        What came of each; of those that were left out with ``refused``.
    """
    found: dict[str, EditOutcome] = {}
    made: list[Made] = []
    again = False
    while True:
        with suppress(_LeaveOut), store.transaction():
            if again:
                _stage(store, made)
            else:
                starts = range(0, len(corrections), batch)
                for start in tqdm(starts, desc="edits", unit="batch", disable=not progress):
                    part = slice(start, start + batch)
                    some = _made(method, store, corrections[part], edits[part], supersede)
                    _stage(store, some)
                    made += some
            if not keep or any(one.outcome.reached is None for one in made):
                every = again or len(corrections) > batch or method.judges_alone
                made = _looked_at(method, store, made, every=every, progress=progress)
            found |= {one.outcome.id: one.outcome for one in made}
            if skip_unreached and not all(one.outcome.reached for one in made):
                raise _LeaveOut
            return [found[edit.id] for edit in edits]
        left = [one for one in made if not one.outcome.reached]
        found |= {one.outcome.id: replace(one.outcome, refused=True) for one in left}
        made, again = [one for one in made if one.outcome.reached], True


def refuse_unreached(outcomes: Sequence[EditOutcome]) -> None:
    """Stop if a target is not reached.

    Raises:
        TargetNotReached: One is not.
    """
    short = [one for one in outcomes if not one.reached]
    if short:
        raise TargetNotReached(short)


class _LeaveOut(Exception):
    """Ends a transaction whose edits are written without some of them."""


def _made(
    method: Method,
    store: Store,
    corrections: Sequence[Correction],
    edits: Sequence[Edit],
    supersede: Supersede | None,
) -> list[Made]:
    new = method.edit(edits, corrections, store, supersede)
    return [
        Made(
            correction=correction,
            outcome=outcome,
            keys=new.keys.rows(slice(row, row + 1)),
            values={name: tensors[row] for name, tensors in new.values.items()},
        )
        for row, (correction, outcome) in enumerate(zip(corrections, new.outcomes, strict=True))
    ]


def _stage(store: Store, made: Sequence[Made]) -> None:
    if made:
        store.add(
            [one.outcome.edit for one in made],
            Keys.join([one.keys for one in made]),
            {name: [one.values[name] for one in made] for name in made[0].values},
            [one.correction.image for one in made],
        )


@torch.no_grad()
def _looked_at(
    method: Method, store: Store, made: Sequence[Made], *, every: bool, progress: bool
) -> list[Made]:
    """The same, their targets compared with what the model says with all of them in force.

    What a method knows to be reached is believed, unless edits have been added behind it or it
    looked at each alone (``every``), or the model does not just say the likeliest token; what is
    not reached is asked. So is not what a later one has superseded already.
    """
    backbone = method.backbone
    gone = {name for one in made for name in one.outcome.edit.supersedes}
    asked = [row for row, one in enumerate(made) if one.outcome.id not in gone]
    groups = [
        [asked[at] for at in some]
        for some in asked_together(method, [made[row].outcome.edit.namespace for row in asked])
    ]
    found = list(made)
    quiet = not progress or not every
    for rows in tqdm(groups, desc="verifying", unit="batch", disable=quiet, leave=False):
        sure = [made[row].outcome.reached is True for row in rows]
        stated, spaces = _stated([made[row] for row in rows])
        if every:
            now = method.reaches(*own_questions(store, stated, spaces, targets=True))
            sure = [before and after for before, after in zip(sure, now, strict=True)]
        doubtful = [
            row for row, good in zip(rows, sure, strict=True) if not good or backbone.changes_scores
        ]
        if not doubtful:
            continue
        wrong = wrong_answers(method, store, *_stated([made[row] for row in doubtful]))
        for row, answer in zip(doubtful, wrong, strict=True):
            outcome = replace(made[row].outcome, reached=answer is None, answer=answer)
            found[row] = replace(made[row], outcome=outcome)
    return found


def _stated(made: Sequence[Made]) -> tuple[list[Correction], list[str]]:
    """Corrections, and the set of edits that each belongs to."""
    return [one.correction for one in made], [one.outcome.edit.namespace for one in made]
