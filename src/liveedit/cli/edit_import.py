"""``liveedit edit import``: many corrections of a file, or a store that was exported."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from liveedit.cli.common import (
    DEVICE,
    DTYPE,
    EDITOR,
    JSON,
    MODEL,
    OF_STORE,
    SETTINGS,
    STORE,
    Dtype,
    load,
)
from liveedit.cli.edit_options import KEEP, PREVIEW, REFUSE, SUPERSEDE
from liveedit.cli.outcomes import Superseding, outcome_json, show_import
from liveedit.cli.store_pictures import KEEP as PICTURES
from liveedit.store.picture_rules import Keep

_REFUSED = 4  # exit status


def import_(
    file: Path = typer.Argument(
        help="JSONL or CSV file, a dataset, or a folder that `export` wrote."
    ),
    store: str = STORE,
    images: Path | None = typer.Option(None, help="Where paths of pictures start; at the file."),
    author: str = typer.Option("", help="Author of lines that name none."),
    reason: str = typer.Option("", help="Reason of lines that name none."),
    namespace: str = typer.Option("", help="Set of edits for lines that name none."),
    batch: int = typer.Option(32, min=1, help="Corrections made and written together."),
    skip_bad: bool = typer.Option(False, "--skip-bad", help="Leave out lines that are no use."),
    skip_unreached: bool = typer.Option(
        False, "--skip-unreached", help="Leave out what the model would still answer otherwise."
    ),
    keep: bool = KEEP,
    preview: bool = PREVIEW,
    supersede: Superseding = SUPERSEDE,
    refuse_conflicts: bool = REFUSE,
    pictures: Keep | None = PICTURES,
    method: str | None = OF_STORE,
    model: str = MODEL,
    device: str = DEVICE,
    dtype: Dtype = DTYPE,
    editor: Path | None = EDITOR,
    settings: Path | None = SETTINGS,
    as_json: bool = JSON,
) -> None:
    """Import many corrections; started again it goes on, and doubles nothing.

    Fields of a line: image (a path, or empty) or images, prompt, target; rephrasings, author,
    reason, namespace. A batch is written whole or not at all. Exit status 4 if the model would
    still answer something else to one: its batch is not written, or with --skip-unreached the rest
    of it is.
    """
    if keep and skip_unreached:
        raise typer.BadParameter("keep what is not reached or skip it: give one of the two")
    from liveedit.store.export import is_export

    if is_export(file):
        _import_folder(file, store, as_json)
        return
    from liveedit.data.corrections_file import read_corrections
    from liveedit.data.importing import import_corrections, refuse_bad

    stated, bad = read_corrections(file, images, namespace=namespace, author=author, reason=reason)
    if not skip_bad:
        refuse_bad(bad)
    report = import_corrections(
        load(
            model,
            editor,
            store,
            method=method,
            settings=settings,
            device=device,
            dtype=dtype,
            pictures=pictures,
        ),
        stated,
        batch=batch,
        skip_bad=skip_bad,
        keep=keep,
        skip_unreached=skip_unreached,
        supersede=supersede.value,
        refuse_conflicts=refuse_conflicts,
        preview=preview,
        progress=True,
    )
    report.bad[:0] = bad
    if as_json:
        print(
            json.dumps(
                {
                    "added": len(report.added),
                    "written": not preview,
                    "known": report.known,
                    "bad": report.bad,
                    "edits": [outcome_json(one) for one in report.added],
                    "refused": [{"line": at, **outcome_json(one)} for at, one in report.refused],
                },
                ensure_ascii=False,
            )
        )
    else:
        show_import(report, preview=preview)
    if report.refused:
        raise typer.Exit(_REFUSED)


def _import_folder(folder: Path, store: str, as_json: bool) -> None:
    from tqdm import tqdm

    from liveedit.store.export import identity_of_export, import_edits
    from liveedit.store.log import EditLog

    log = EditLog(store, identity_of_export(folder))
    with tqdm(desc="importing", unit="edit", disable=None) as bar:
        added, known = import_edits(log, folder, progress=bar.update)
    if as_json:
        print(json.dumps({"added": added, "known": known, "bad": []}))
    else:
        print(f"{added} added, {known} known before")
