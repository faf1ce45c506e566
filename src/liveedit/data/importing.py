"""Edits of many corrections, batch by batch; started again it goes on, and doubles nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

from tqdm import tqdm

from liveedit.correction import Correction, pictures_identity
from liveedit.data.corrections_file import CorrectionRow
from liveedit.editor import EditedModel
from liveedit.editor.inputs import check_corrections
from liveedit.errors import BadImport, ConflictingEdit, LiveEditError, TargetNotReached
from liveedit.methods.outcome import EditOutcome, Supersede
from liveedit.store.edit import correction_digest
from liveedit.store.sql import SqlStore

_SHOWN = 10  # bad lines that an error names


@dataclass(kw_only=True)
class ImportReport:
    """What came of an import.

    Args:
        added: What was written.
        refused: What was not, because its target is not reached, with the number of its line.
        known: How many corrections the store held before, or the file twice.
        bad: Lines that were left out, and why.
    """

    added: list[EditOutcome] = field(default_factory=list)
    refused: list[tuple[int, EditOutcome]] = field(default_factory=list)
    known: int = 0
    bad: list[str] = field(default_factory=list)


def refuse_bad(bad: Sequence[str], *, imported: int = 0) -> None:
    """Stop if there are bad lines.

    Raises:
        BadImport: There are.
    """
    if bad:
        more = f", and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
        written = f"{imported} were imported before" if imported else "nothing was imported"
        raise BadImport(
            f"{'; '.join(bad[:_SHOWN])}{more}. {written}; mend the lines and import again (nothing "
            "is doubled), or leave them out with --skip-bad"
        )


def import_corrections(
    model: EditedModel,
    stated: Sequence[CorrectionRow],
    *,
    batch: int = 32,
    skip_bad: bool = False,
    keep: bool = False,
    skip_unreached: bool = False,
    supersede: Supersede | None = None,
    refuse_conflicts: bool = False,
    preview: bool = False,
    progress: bool = False,
) -> ImportReport:
    """Make edits of corrections, batch by batch, each one revision.

    What the store has ever held in the same namespace (the same picture, question and answer) is
    not made again, be it revoked or not: an import that broke off can be started again.

    Args:
        model: Its store must be a lasting one.
        stated: What to correct.
        batch: How many are made and written together.
        skip_bad: Leave out what cannot be used, and go on.
        keep: Put edits in force even if their targets are not reached.
        skip_unreached: Leave those out, and go on.
        supersede: Which earlier edits go out of force; see `EditedModel.edit_many`.
        refuse_conflicts: Stop before a batch is written that contradicts what is in force.
        preview: Only say what would come of it; nothing is written.
        progress: Show a progress bar.

    Raises:
        BadImport: One cannot be used; the batches before were written.
        TargetNotReached: The target of one is not; the batches before were written.
        ConflictingEdit: One contradicts what is in force; the batches before were written.
        StoreError: The store cannot be written; the batches before were.
    """
    report = ImportReport()
    seen: set[tuple[str, str]] = set()
    keep = keep or (preview and not skip_unreached)
    # a batch of a preview sees those before it, and none of them stays
    whole = model.store.transaction(keep=False) if preview else nullcontext()
    title = "looking" if preview else "importing"
    with whole, tqdm(total=len(stated), desc=title, unit="edit", disable=not progress) as bar:
        for start in range(0, len(stated), batch):
            some = stated[start : start + batch]
            ready = _ready(model, some, report)
            if not skip_bad:
                refuse_bad(report.bad, imported=len(report.added))
            fresh = _fresh(model, ready, seen)
            report.known += len(ready) - len(fresh)
            if fresh:
                try:
                    outcomes = model.edit_many(
                        [correction for _, correction, _ in fresh],
                        namespaces=[one.namespace for one, _, _ in fresh],
                        author=[one.author for one, _, _ in fresh],
                        reason=[one.reason for one, _, _ in fresh],
                        batch=batch,
                        keep=keep,
                        skip_unreached=skip_unreached,
                        supersede=supersede,
                        before_write=no_contradiction if refuse_conflicts else None,
                    )
                except TargetNotReached as error:
                    raise TargetNotReached(error.outcomes, written=len(report.added)) from None
                for (row, _, _), made in zip(fresh, outcomes, strict=True):
                    if made.refused:
                        report.refused.append((row.line, made))
                    else:
                        report.added.append(made)
            bar.update(len(some))
    return report


def no_contradiction(outcomes: Sequence[EditOutcome]) -> None:
    """Stop before anything is written that contradicts or repeats what is in force.

    Raises:
        ConflictingEdit: It does.
    """
    told = [
        f"{outcome.edit.prompt!r} {conflict.kind} edit {conflict.edit.id} "
        f"({conflict.edit.target!r})"
        for outcome in outcomes
        for conflict in outcome.conflicts
        if conflict.kind != "alike"
    ]
    if told:
        raise ConflictingEdit(
            f"{'; '.join(told[:_SHOWN])}. Nothing of this was written; revoke what is outdated, or "
            "let it be superseded without --refuse-conflicts"
        )


_Ready = tuple[CorrectionRow, Correction, str]


def _ready(model: EditedModel, some: Sequence[CorrectionRow], report: ImportReport) -> list[_Ready]:
    found: list[_Ready] = []
    for one in some:
        try:
            correction = Correction.checked(one.images, one.prompt, one.target, one.rephrasings)
            check_corrections(model.method, [correction])
        except LiveEditError as error:
            report.bad.append(f"line {one.line}: {error}")
            continue
        image = pictures_identity(correction.image)
        digest = correction_digest(image, correction.prompt, correction.target)
        found.append((one, correction, digest))
    return found


def _fresh(model: EditedModel, ready: Sequence[_Ready], seen: set[tuple[str, str]]) -> list[_Ready]:
    store = model.store
    assert isinstance(store, SqlStore)
    for space in {one.namespace for one, _, _ in ready}:
        digests = [digest for one, _, digest in ready if one.namespace == space]
        seen |= {(space, digest) for digest in store.log.known(digests, space)}
    fresh = []
    for one, correction, digest in ready:
        if (one.namespace, digest) not in seen:
            seen.add((one.namespace, digest))
            fresh.append((one, correction, digest))
    return fresh
