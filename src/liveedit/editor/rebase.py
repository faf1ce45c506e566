"""The corrections of a store made anew for another model, editor or method."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from tqdm import tqdm

from liveedit.correction import Correction, pictures_identity
from liveedit.editor.answers import answers_of_any
from liveedit.editor.inputs import check_corrections
from liveedit.editor.making import write_edits
from liveedit.editor.model import EditedModel
from liveedit.errors import BadRebase, LiveEditError, StoreError, StoreUnusable
from liveedit.store.carried import Note, begin, notes_of, refuse_other, write_notes
from liveedit.store.edit import Edit
from liveedit.store.log_reader import LogReader
from liveedit.store.recalled import recall
from liveedit.store.records import Entry
from liveedit.store.sql import SqlStore

_DAMAGED = "it is damaged in the old store; correct the answer anew"
_Stated: TypeAlias = tuple[Edit, Correction]


@dataclass(frozen=True, kw_only=True)
class RebaseReport:
    """What came of the corrections of a store.

    Args:
        made: Edits of the new store, under the names that they had.
        right: What the new model answers as it should without an edit.
        not_reached: What no edit could be made of, and why.
        outdated: Edits that were made and revoked again, because the one that superseded them is
            not reached: their answers are outdated.
        thumbnails: Names of edits that were made from a thumbnail, because the picture was not
            kept.
    """

    made: list[Edit] = field(default_factory=list)
    right: list[Edit] = field(default_factory=list)
    not_reached: list[tuple[Edit, str]] = field(default_factory=list)
    outdated: list[Edit] = field(default_factory=list)
    thumbnails: list[str] = field(default_factory=list)


def rebase(
    old: LogReader, model: EditedModel, *, batch: int = 32, progress: bool = False
) -> RebaseReport:
    """Make the corrections of a store anew, in their order, for what has taken the model's place.

    Edits keep their names, authors, reasons, times, namespaces and wordings, and what they
    supersede; superseded ones are carried over, too, so that they come back when the newer one is
    revoked. What the new model answers rightly by itself is noted, and needs no edit. Started again
    with the same two stores it goes on where it was, and takes up what was added meanwhile.

    Args:
        old: The store's log, which is only read: ``EditLog(location)``.
        model: The new model with its method, and a lasting store that is empty or was begun so.
        batch: How many are made and written together, as one revision.
        progress: Show a progress bar.

    Raises:
        BadRebase: There is nothing to carry over, or the new store is the old one or holds
            something else; nothing was written.
        StoreError: The new store cannot be written; the batches before were.
    """
    store = model.store
    if not isinstance(store, SqlStore):
        raise StoreUnusable(
            "corrections are carried over to a store that lasts; give the model one: store=..."
        )
    refuse_other(old, store.log)
    entries = corrections_of(old, superseded=model.method.abilities.revoke != "never")
    begin(old, store.log)
    unusable: list[Note] = []
    with tqdm(total=len(entries), desc="rebasing", unit="edit", disable=not progress) as bar:
        for start in range(0, len(entries), batch):
            some = [entry.edit for entry in entries[start : start + batch]]
            unusable += _carry_over(old, model, store, some)
            bar.update(len(some))
    _look_again(old, model, store, [entry.edit for entry in entries], batch)
    outdated = _revoke_outdated(store, entries)
    return _reported(old, store, entries, outdated, unusable)


def corrections_of(old: LogReader, *, superseded: bool = True) -> list[Entry]:
    """What there is to carry over, the oldest first.

    Args:
        old: The store's log.
        superseded: Also what is out of force as long as a newer edit is not revoked.

    Raises:
        BadRebase: Nothing is in force.
    """
    states = ("in force", "superseded") if superseded else ("in force",)
    found = [entry for entry in old.entries() if entry.state in states]
    if not found:
        raise BadRebase(
            f"{old.location} holds no correction that is in force; give the store whose "
            "corrections shall be carried over"
        )
    return found


def _carry_over(
    old: LogReader, model: EditedModel, store: SqlStore, edits: Sequence[Edit]
) -> list[Note]:
    """Make those of a batch that the new store neither has nor has noted.

    Returns:
        What cannot even be asked; it is not noted, for a picture may be given later.
    """
    named = [name for edit in edits for name in (edit.id, *edit.supersedes)]
    there, noted = _there(store, named), notes_of(store.log)
    todo = [edit for edit in edits if edit.id not in there and edit.id not in noted]
    stated, unusable = _stated(old, model, todo)
    wanted, notes = [], []
    for one, answer in _answers(model, stated):
        edit, _ = one
        if isinstance(answer, LiveEditError):
            notes.append(_unreached(edit, str(answer)))
        elif answer is None and not there.intersection(edit.supersedes):
            notes.append(Note(edit=edit.id, outcome="already right"))
        else:
            wanted.append(one)
            there.add(edit.id)
    write_notes(store.log, [*_make(model, store, wanted), *notes])
    return unusable


def _look_again(
    old: LogReader, model: EditedModel, store: SqlStore, edits: Sequence[Edit], batch: int
) -> None:
    """What was right without an edit may not be any more, beside the edits that were made since."""
    noted = notes_of(store.log)
    right = [one for one in edits if one.id in noted and noted[one.id].outcome == "already right"]
    for start in range(0, len(right), batch):
        stated, _ = _stated(old, model, right[start : start + batch])
        wrong = [one for one, answer in _answers(model, stated) if answer is not None]
        notes = _make(model, store, wrong)
        short = {note.edit for note in notes}
        made = [edit.id for edit, _ in wrong if edit.id not in short]
        write_notes(store.log, notes, no_longer=made)


def _stated(
    old: LogReader, model: EditedModel, edits: Sequence[Edit]
) -> tuple[list[_Stated], list[Note]]:
    """Corrections again, and those that the new model or method has no use for."""
    stated, notes = [], []
    for edit in edits:
        again = recall(old, edit)
        if again.correction is None:
            notes.append(_unreached(edit, again.problem or "its picture is gone"))
            continue
        if again.shown == "whole":  # of the file, as this release of the libraries reads it
            edit = replace(edit, image=pictures_identity(again.correction.image))
        try:
            check_corrections(model.method, [again.correction])
        except LiveEditError as error:
            notes.append(_unreached(edit, str(error)))
        else:
            stated.append((edit, again.correction))
    return stated, notes


def _answers(
    model: EditedModel, stated: Sequence[_Stated]
) -> list[tuple[_Stated, str | LiveEditError | None]]:
    """What the model says instead of each target, or why it cannot be asked."""
    answers = answers_of_any(
        model.method,
        model.store,
        [correction for _, correction in stated],
        [edit.namespace for edit, _ in stated],
    )
    return list(zip(stated, answers, strict=True))


def _make(model: EditedModel, store: SqlStore, wanted: Sequence[_Stated]) -> list[Note]:
    """Make edits as one revision; what is not reached."""
    if not wanted:
        return []
    try:
        outcomes = write_edits(
            model.method,
            store,
            [correction for _, correction in wanted],
            [edit for edit, _ in wanted],
            batch=len(wanted),
            keep=False,
            skip_unreached=True,
            supersede="never",
            progress=False,
        )
    except StoreError:
        raise
    except LiveEditError as error:
        if len(wanted) > 1:
            return [note for one in wanted for note in _make(model, store, [one])]
        return [_unreached(wanted[0][0], str(error))]
    return [
        _unreached(one.edit, f"the model would still answer {one.answer!r}")
        for one in outcomes
        if one.refused
    ]


def _revoke_outdated(store: SqlStore, entries: Sequence[Entry]) -> list[Edit]:
    """Take back what was superseded by an edit that is not reached: its answer is outdated."""
    states = {entry.edit.id: entry.state for entry in store.log.entries()}
    there = [entry.edit for entry in entries if entry.edit.id in states]
    replaced = {one for edit in there for one in edit.supersedes}
    outdated = [
        entry.edit
        for entry in entries
        if entry.state == "superseded" and entry.edit.id in states.keys() - replaced
    ]
    wrong = [edit.id for edit in outdated if states[edit.id] == "in force"]
    if wrong:
        store.log.revoke(wrong, reason="outdated: what superseded it was not reached")
        store.follow()
    return outdated


def _reported(
    old: LogReader,
    store: SqlStore,
    entries: Sequence[Entry],
    outdated: list[Edit],
    unusable: Sequence[Note],
) -> RebaseReport:
    edits = [entry.edit for entry in entries]
    there = _there(store, [edit.id for edit in edits])
    noted = notes_of(store.log) | {note.edit: note for note in unusable}
    notes = [(edit, noted[edit.id]) for edit in edits if edit.id in noted]
    made = [edit for edit in edits if edit.id in there and edit not in outdated]
    small = set(old.without_files([edit.image for edit in made if edit.image is not None]))
    short = [(edit, note.note) for edit, note in notes if note.outcome == "not reached"]
    damaged = [entry.edit for entry in old.entries() if entry.state == "damaged"]
    return RebaseReport(
        made=made,
        right=[edit for edit, note in notes if note.outcome == "already right"],
        not_reached=[*short, *((edit, _DAMAGED) for edit in damaged)],
        outdated=outdated,
        thumbnails=[edit.id for edit in made if edit.image in small],
    )


def _there(store: SqlStore, names: Sequence[str]) -> set[str]:
    """Which edits the store has, revoked or not."""
    return {row.edit.id for row in store.log.stored(names, keys=False)}


def _unreached(edit: Edit, why: str) -> Note:
    return Note(edit=edit.id, outcome="not reached", note=why)
