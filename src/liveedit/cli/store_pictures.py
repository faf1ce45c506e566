"""``liveedit store pictures``: what a store keeps of pictures."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from liveedit.cli.common import JSON, STORE
from liveedit.store.picture_rules import Keep

if TYPE_CHECKING:
    from liveedit.store.log import EditLog

KEEP = typer.Option(
    None,
    "--pictures",
    help="What the store keeps of pictures from now on: the files, their pixels alone, or nothing "
    "but thumbnails. A new store keeps files.",
)
_MB = 1_000_000


class Dropped(StrEnum):
    """Kept pictures that may be dropped."""

    unused = "unused"
    damaged = "damaged"
    all = "all"


def pictures(
    store: str = STORE,
    keep: Keep | None = typer.Option(
        None,
        help="From now on keep the files that were given (with all that is in them), their pixels "
        "alone, or nothing but thumbnails.",
    ),
    each: float | None = typer.Option(None, min=0, help="Most MB that a picture may take."),
    total: float | None = typer.Option(None, min=0, help="Most MB that all may take."),
    add: Path | None = typer.Option(
        None, help="Folder with pictures that edits were made with: those are kept from now on."
    ),
    drop: Dropped | None = typer.Option(
        None, help="Drop kept pictures: those that only revoked edits have, damaged ones, or all."
    ),
    as_json: bool = JSON,
) -> None:
    """Say what the store keeps of pictures, and change it; edits are never touched."""
    from liveedit.cli.store import print_facts
    from liveedit.store.log import EditLog

    log = EditLog(store)
    rules = log.picture_rules
    if keep is not None:
        rules = replace(rules, keep=keep)
    if each is not None:
        rules = replace(rules, each=round(each * _MB))
    if total is not None:
        rules = replace(rules, total=round(total * _MB))
    if rules != log.picture_rules:
        log.set_picture_rules(rules)
    told: dict[str, Any] = {}
    if add is not None:
        told["added"] = _added(log, add)
    if drop is not None:
        told["dropped"] = log.drop_files(drop.value)
    print_facts({**told, **facts(log)}, as_json)


def facts(log: EditLog) -> dict[str, object]:
    """What a store keeps of pictures, and what that takes."""
    rules, use = log.picture_rules, log.picture_use()
    return {
        "keep": str(rules.keep),
        "kept": use.kept,
        "bytes": use.bytes,
        "each_at_most": rules.each,
        "total_at_most": rules.total,
        "edits": use.edits,
        "thumbnail_only": use.without,
    }


def _added(log: EditLog, folder: Path) -> int:
    from tqdm import tqdm

    from liveedit.store.adding_pictures import add_pictures, picture_files

    files = picture_files(folder)
    with tqdm(total=len(files), desc="looking", unit="file", disable=None) as bar:
        return add_pictures(log, files, progress=bar.update)
