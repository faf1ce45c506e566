"""Many corrections from a file: JSONL or CSV beside a folder of pictures."""

from __future__ import annotations

import codecs
import csv
import io
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from liveedit.correction import Correction, checked_text, image_identity
from liveedit.editor import EditedModel
from liveedit.errors import BadImport, ConflictingEdit, LiveEditError
from liveedit.methods.outcome import EditOutcome
from liveedit.store.edit import correction_digest
from liveedit.store.sql import SqlStore

logger = logging.getLogger(__name__)

_FIELDS = ("image", "prompt", "target", "author", "reason", "namespace")
_SHOWN = 10  # bad lines that an error names


@dataclass(frozen=True, kw_only=True)
class CorrectionRow:
    """One line of a file.

    Args:
        line: Its number, from 1.
        image: The picture; None for a text-only correction.
        prompt: The question.
        target: The right answer.
        author: Who says so.
        reason: Why.
        namespace: The set of edits it will belong to.
    """

    line: int
    image: Path | None
    prompt: str
    target: str
    author: str = ""
    reason: str = ""
    namespace: str = ""


@dataclass(kw_only=True)
class ImportReport:
    """What came of an import.

    Args:
        added: What was written.
        known: How many corrections the store held before, or the file twice.
        bad: Lines that were left out, and why.
    """

    added: list[EditOutcome] = field(default_factory=list)
    known: int = 0
    bad: list[str] = field(default_factory=list)


def read_corrections(
    file: Path,
    images: Path | None = None,
    *,
    namespace: str = "",
    author: str = "",
    reason: str = "",
) -> tuple[list[CorrectionRow], list[str]]:
    """Corrections of a file, and what is wrong with the other lines.

    Args:
        file: CSV with a header (commas, semicolons or tabs), JSON lines or a JSON array, in UTF-8,
            UTF-16 or Windows-1252; the fields are image (a path, or empty),
            prompt, target, and where wanted author, reason and namespace.
        images: The folder that paths of pictures start from; that of the file by default.
        namespace: Where a line names none.
        author: Where a line names none.
        reason: Where a line names none.

    Raises:
        BadImport: The file cannot be read.
    """
    folder = file.parent if images is None else images
    good, bad = [], []
    default = {"author": author, "reason": reason, "namespace": namespace}
    try:
        for line, fields in _lines(file):
            try:
                good.append(_stated(line, fields, folder, default))
            except (LiveEditError, ValueError) as error:
                bad.append(f"line {line}: {error}")
    except (OSError, UnicodeError, csv.Error) as error:
        raise BadImport(f"{file} cannot be read ({error}); give a CSV or JSON file") from error
    return good, bad


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
    refuse_conflicts: bool = False,
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
        refuse_conflicts: Stop before a batch is written that contradicts what is in force.
        progress: Show a progress bar.

    Raises:
        BadImport: One cannot be used; the batches before were written.
        ConflictingEdit: One contradicts what is in force; the batches before were written.
        StoreError: The store cannot be written; the batches before were.
    """
    report = ImportReport()
    seen: set[tuple[str, str]] = set()
    with tqdm(total=len(stated), desc="importing", unit="edit", disable=not progress) as bar:
        for start in range(0, len(stated), batch):
            some = stated[start : start + batch]
            ready = _ready(model, some, report)
            if not skip_bad:
                refuse_bad(report.bad, imported=len(report.added))
            fresh = _fresh(model, ready, seen)
            report.known += len(ready) - len(fresh)
            if fresh:
                report.added += model.edit_many(
                    [correction for _, correction, _ in fresh],
                    namespaces=[one.namespace for one, _, _ in fresh],
                    author=[one.author for one, _, _ in fresh],
                    reason=[one.reason for one, _, _ in fresh],
                    batch=batch,
                    before_write=no_contradiction if refuse_conflicts else None,
                )
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
    ]
    if told:
        raise ConflictingEdit(
            f"{'; '.join(told[:_SHOWN])}. Nothing of this was written; revoke what is outdated, or "
            "let it be superseded without --refuse-conflicts"
        )


def _lines(file: Path) -> Iterator[tuple[int, object]]:
    """Numbers and fields of the lines, by what the file holds rather than by its name."""
    text = _decoded(file)
    start = text.lstrip()[:1]
    if start == "[":
        yield from enumerate(_json_array(text), 1)
    elif start == "{" or file.suffix.casefold() in (".jsonl", ".ndjson"):
        for line, one in enumerate(text.splitlines(), 1):
            if one.strip():
                try:
                    yield line, json.loads(one)
                except ValueError as error:
                    yield line, error
    elif text.strip():
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
        for row in rows:
            if None in row:
                yield rows.line_num, ValueError("more fields than the first line names")
                continue
            names = {key.strip().casefold(): value for key, value in row.items()}
            yield rows.line_num, {k: v for k, v in names.items() if v not in (None, "")}


def _decoded(file: Path) -> str:
    """UTF-8 or UTF-16 by its mark, UTF-8 without one, else what spreadsheets on Windows write."""
    data = file.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        logger.warning("%s is not in UTF-8 and was read as Windows-1252; look at the umlauts", file)
        return data.decode("cp1252")


def _json_array(text: str) -> list[object]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadImport(f"the file begins as a JSON array and is none ({error})") from error
    return list(found)


def _delimiter(text: str) -> str:
    """What stands between the names of the first line: a comma, a semicolon or a tab."""
    header = text.lstrip().partition("\n")[0]
    return max(",;\t", key=header.count)


def _stated(line: int, fields: object, folder: Path, default: dict[str, str]) -> CorrectionRow:
    if isinstance(fields, ValueError):
        raise ValueError(f"cannot be read: {fields}")
    if not isinstance(fields, dict) or not {"prompt", "target"} <= fields.keys():
        has = f"; this line has {', '.join(map(str, fields))}" if isinstance(fields, dict) else ""
        raise ValueError(f"has no prompt or no target; its fields are {', '.join(_FIELDS)}{has}")
    unknown = sorted(str(name) for name in fields.keys() - set(_FIELDS))
    if unknown:
        raise ValueError(f"has unknown fields {', '.join(unknown)}; known: {', '.join(_FIELDS)}")
    told = default | {name: value for name, value in fields.items() if value is not None}
    for name, value in told.items():
        if not isinstance(value, str):
            raise ValueError(f"{name} is no text")
    image = told.pop("image", "")
    path = folder / image if image else None
    if path is not None and not path.is_file():
        raise ValueError(f"there is no picture {path}")
    told["prompt"] = checked_text(told["prompt"], "prompt")
    told["target"] = checked_text(told["target"], "target")
    return CorrectionRow(line=line, image=path, **told)


_Ready = tuple[CorrectionRow, Correction, str]


def _ready(model: EditedModel, some: Sequence[CorrectionRow], report: ImportReport) -> list[_Ready]:
    found: list[_Ready] = []
    for one in some:
        try:
            correction = Correction.checked(one.image, one.prompt, one.target)
            model.backbone.checked(correction.prompt)
            model.backbone.checked(correction.target)
        except LiveEditError as error:
            report.bad.append(f"line {one.line}: {error}")
            continue
        image = None if correction.image is None else image_identity(correction.image)
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
