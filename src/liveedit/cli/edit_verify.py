"""``liveedit edit verify``: which corrections still hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
    from liveedit.editor.verify import Verified


def verify(
    store: str = STORE,
    remake: bool = typer.Option(False, "--remake", help="Make those anew that do not hold."),
    namespace: str | None = typer.Option(None, help="Only this set of edits."),
    method: str | None = OF_STORE,
    model: str = MODEL,
    device: str = DEVICE,
    dtype: Dtype = DTYPE,
    editor: Path | None = EDITOR,
    settings: Path | None = SETTINGS,
    as_json: bool = JSON,
) -> None:
    """Ask every edit in force its own question, and compare the answers.

    Exit status 1 if one does not hold, or cannot be asked; with --remake, if it still does not.
    """
    from liveedit.store.log import EditLog

    EditLog(store).close()  # one that is not there is not made
    edited = load(
        model, editor, store, method=method, settings=settings, device=device, dtype=dtype
    )
    from liveedit.editor.verify import verify as look

    found = look(edited, namespace=namespace, remake=remake, progress=True)
    if as_json:
        print(json.dumps([_json(one) for one in found], ensure_ascii=False))
    else:
        _show(found)
    if any(not one.holds and one.remade is None for one in found):
        raise typer.Exit(1)


def _json(one: Verified) -> dict[str, object]:
    return {
        **one.edit.as_json(),
        "holds": one.holds,
        "shown": one.shown,
        "answer": one.answer,
        "problem": one.problem,
        "remade": None if one.remade is None else one.remade.id,
    }


def _show(found: Sequence[Verified]) -> None:
    for one in found:
        if one.holds:
            continue
        told = f"{one.edit.id}: {one.edit.prompt} -> {one.edit.target}: "
        if one.holds is False:
            told += f"the answer is {one.answer!r}"
        if one.problem:
            told += f"{'; ' if one.holds is False else ''}{one.problem}"
        if one.remade is not None:
            told += f"; made anew as {one.remade.id}"
        print(told)
    hold = sum(one.holds is True for one in found)
    remade = sum(one.remade is not None for one in found)
    print(f"{hold} of {len(found)} hold" + (f", {remade} were made anew" if remade else ""))
    small = sum(one.shown == "thumbnail" for one in found)
    if small:
        print(
            f"{small} were asked about a thumbnail, because the picture was not kept; give "
            "pictures with: liveedit store pictures --add FOLDER"
        )
