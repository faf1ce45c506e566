"""``liveedit edit rebase``: the corrections of a store for another model, editor or method."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from liveedit.editor.rebase import RebaseReport

_NOT_REACHED = 4  # exit status
_SHOWN = 50  # corrections that are not reached


def rebase(
    store: str = STORE,
    to: str = typer.Option(..., "--to", help="The new store; it must not be there, or be empty."),
    batch: int = typer.Option(32, min=1, help="Corrections made and written together."),
    method: str | None = OF_STORE,
    model: str = MODEL,
    device: str = DEVICE,
    dtype: Dtype = DTYPE,
    editor: Path | None = EDITOR,
    settings: Path | None = SETTINGS,
    as_json: bool = JSON,
) -> None:
    """Make the corrections of a store anew, in another store, for another model or editor.

    The old store is only read; its method and settings are taken over, unless others are given.
    Started again with the same two stores it goes on where it was. Exit status 4 if something is
    not reached; it is listed, with the reason.
    """
    from liveedit.editor.pretrained import stored_config
    from liveedit.editor.rebase import corrections_of
    from liveedit.editor.rebase import rebase as carry_over
    from liveedit.methods.registry import method_class
    from liveedit.store.carried import refuse_target
    from liveedit.store.log import EditLog

    old = EditLog(store)
    refuse_target(old, to)
    corrections_of(old)
    method = method or old.identity.method
    kept = stored_config(old.identity, method_class(method))
    edited = load(
        model, editor, to,
        method=method, settings=settings, config=kept, device=device, dtype=dtype,
    )  # fmt: skip
    report = carry_over(old, edited, batch=batch, progress=True)
    if as_json:
        print(json.dumps(_json(report), ensure_ascii=False))
    else:
        _show(report, store)
    if report.not_reached:
        raise typer.Exit(_NOT_REACHED)


def _json(report: RebaseReport) -> dict[str, object]:
    return {
        "made": [edit.id for edit in report.made],
        "right": [edit.id for edit in report.right],
        "not_reached": [{**edit.as_json(), "why": why} for edit, why in report.not_reached],
        "outdated": [edit.id for edit in report.outdated],
        "thumbnails": report.thumbnails,
    }


def _show(report: RebaseReport, store: str) -> None:
    for edit, why in report.not_reached[:_SHOWN]:
        print(f"not reached: {edit.id}: {edit.prompt} -> {edit.target}: {why}")
    if len(report.not_reached) > _SHOWN:
        print(f"... and {len(report.not_reached) - _SHOWN} more; --json names all")
    for edit in report.outdated:
        print(
            f"revoked: {edit.id}: {edit.prompt} -> {edit.target}: what superseded it is not reached"
        )
    print(
        f"{len(report.made)} made, {len(report.right)} right without an edit, "
        f"{len(report.not_reached)} not reached"
    )
    if report.thumbnails:
        print(
            f"{len(report.thumbnails)} were made from a thumbnail, because the picture was not "
            f"kept; to use pictures, give them first: liveedit store pictures --add FOLDER --store "
            f"{store}"
        )
