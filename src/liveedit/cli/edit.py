"""``liveedit edit``: corrections of a store."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from liveedit.cli.common import (
    AS_OF,
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
    show_edits,
)
from liveedit.cli.edit_import import import_
from liveedit.cli.edit_options import KEEP, PREVIEW, REFUSE, SUPERSEDE
from liveedit.cli.edit_rebase import rebase
from liveedit.cli.edit_verify import verify
from liveedit.cli.outcomes import Superseding, outcome_json, show_conflicts
from liveedit.cli.store_pictures import KEEP as PICTURES
from liveedit.errors import cannot_restore
from liveedit.store.picture_rules import Keep

if TYPE_CHECKING:
    from liveedit.methods.outcome import EditOutcome
    from liveedit.store.records import Entry


app = typer.Typer(
    help="Add, import, look at, revoke, restore and export edits; verify them, and carry them over "
    "to another model. With --server URL most of it is done by a server.",
    no_args_is_help=True,
)
app.command("import")(import_)
app.command()(rebase)
app.command()(verify)
AUTHOR = typer.Option("", help="Who does it.")
REASON = typer.Option("", help="Why.")
NAMESPACE = typer.Option(None, help="Only this set of edits.")
_REFUSED = 4  # exit status


@app.command()
def add(
    prompt: str = typer.Option(..., help="The question."),
    target: str = typer.Option(..., help="The right answer."),
    image: list[Path] = typer.Option(
        [], help="The picture; none for a text-only correction, several for a question about all."
    ),
    rephrasing: list[str] = typer.Option(
        [], help="The question in other words; may be given several times."
    ),
    store: str = STORE,
    author: str = AUTHOR,
    reason: str = REASON,
    namespace: str = typer.Option("", help="The set of edits it will belong to."),
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
    """Correct one answer. The store is made if it is not there.

    Exit status 4 if the model would still answer something else: then nothing is written.
    """
    edited = load(
        model,
        editor,
        store,
        method=method,
        settings=settings,
        device=device,
        dtype=dtype,
        pictures=pictures,
    )
    from liveedit.correction import Correction
    from liveedit.data.importing import no_contradiction

    def before_write(outcomes: list[EditOutcome]) -> None:
        if not as_json:
            show_conflicts(outcomes)
        if refuse_conflicts:
            no_contradiction(outcomes)

    with edited.namespace(namespace):
        (made,) = edited.edit_many(
            [Correction.checked(image, prompt, target, rephrasing)],
            author=author,
            reason=reason,
            supersede=supersede.value,
            keep=keep,
            preview=preview,
            before_write=before_write,
        )
    if as_json:
        print(json.dumps({**outcome_json(made), "written": not preview}, ensure_ascii=False))
        return
    reached = f"after {made.steps} gradient steps" if made.steps else "at once"
    how = f"the target is given {reached}" if made.reached else "THE TARGET IS NOT REACHED"
    if made.answer is not None:
        how += f": the answer is {made.answer!r}"
    print(f"{'would be written' if preview else made.id}: {how}")


@app.command("list")
def list_(
    store: str = STORE,
    as_of: int | None = AS_OF,
    namespace: str | None = NAMESPACE,
    everything: bool = typer.Option(False, "--all", help="Also what is superseded or revoked."),
    as_json: bool = JSON,
) -> None:
    """Show the edits in force."""
    entries = _log(store).entries(as_of=as_of, namespace=namespace)
    _print([one for one in entries if everything or one.state == "in force"], as_json)


@app.command()
def show(
    edit: str = typer.Argument(help="Its id."),
    store: str = STORE,
    as_of: int | None = AS_OF,
    picture: Path | None = typer.Option(None, help="Where its thumbnail (WEBP) goes."),
    as_json: bool = JSON,
) -> None:
    """Show all there is about an edit, and what has been done with it."""
    log = _log(store)
    (entry,) = log.entries(as_of=as_of, ids=[edit])
    told: dict[str, Any] = entry.as_json()
    told["history"] = [
        {
            "revision": one.revision,
            "kind": one.kind,
            "author": one.author,
            "reason": one.reason,
            "created": one.created.isoformat(),
        }
        for one in log.history()
        if edit in one.edits and (as_of is None or one.revision <= as_of)
    ]
    if picture is not None:
        data = log.thumbnail(entry.edit.image) if entry.edit.image else None
        if data is None:
            print(f"edit {edit} has no picture")
            raise typer.Exit(1)
        picture.write_bytes(data)
    if as_json:
        print(json.dumps(told, ensure_ascii=False))
        return
    for name, value in told.items():
        if name != "history":
            print(f"{name:11} {', '.join(value) if isinstance(value, list) else value}")
    for one in told["history"]:
        print(
            f"revision {one['revision']}: {one['kind']} {one['created']} "
            f"{one['author']} {one['reason']}"
        )


@app.command()
def search(
    text: str = typer.Argument(help="In question, answer, author or reason, in any case."),
    store: str = STORE,
    as_of: int | None = AS_OF,
    namespace: str | None = NAMESPACE,
    as_json: bool = JSON,
) -> None:
    """Find edits by their text; exit status 1 if there are none."""
    found = _log(store).entries(as_of=as_of, namespace=namespace, text=text)
    _print(found, as_json)
    if not found:
        raise typer.Exit(1)


@app.command()
def revoke(
    edits: list[str] = typer.Argument(help="Their ids."),
    store: str = STORE,
    author: str = AUTHOR,
    reason: str = REASON,
    model: str = MODEL,
    device: str = DEVICE,
    dtype: Dtype = DTYPE,
    editor: Path | None = EDITOR,
    settings: Path | None = SETTINGS,
    as_json: bool = JSON,
) -> None:
    """Take edits back, all of them or none: the model answers as if they had never been made.

    The model is loaded only for methods whose edits build on each other: later ones are made again.
    """
    log, edits = _log(store), list(dict.fromkeys(edits))
    if _replays(method := log.identity.method):
        edited = load(
            model, editor, store, method=method, settings=settings, device=device, dtype=dtype
        )
        edited.revoke_many(edits, author=author, reason=reason, progress=True)
        revision = edited.store.revision
    else:
        revision = log.revoke(edits, author=author, reason=reason)
    _changed("revoked", edits, revision, as_json)


@app.command()
def restore(
    edits: list[str] = typer.Argument(help="Their ids."),
    store: str = STORE,
    author: str = AUTHOR,
    reason: str = REASON,
    model: str = MODEL,
    device: str = DEVICE,
    dtype: Dtype = DTYPE,
    editor: Path | None = EDITOR,
    settings: Path | None = SETTINGS,
    as_json: bool = JSON,
) -> None:
    """Put edits that were revoked in force again, all of them or none.

    The model is loaded only for methods whose edits may build on each other. Where they do, this is
    refused: later ones were made again without it.
    """
    log, edits = _log(store), list(dict.fromkeys(edits))
    if _replays(method := log.identity.method):
        edited = load(
            model, editor, store, method=method, settings=settings, device=device, dtype=dtype
        )
        if edited.method.abilities.revoke == "replay":
            raise cannot_restore(method)
    revision = log.restore(edits, author=author, reason=reason)
    _changed("restored", edits, revision, as_json)


@app.command()
def export(
    out: Path = typer.Option(..., "--out", help="A folder that is not there yet."),
    store: str = STORE,
    as_of: int | None = AS_OF,
    namespace: str | None = NAMESPACE,
    pictures: bool = typer.Option(True, help="With the pictures themselves, where they are kept."),
    as_json: bool = JSON,
) -> None:
    """Write the edits that are not revoked as a folder that `import` takes up elsewhere."""
    from tqdm import tqdm

    from liveedit.store.export import export_edits

    log = _log(store)
    with tqdm(desc="exporting", unit="edit", disable=None) as bar:
        written = export_edits(
            log, out, as_of=as_of, namespace=namespace, files=pictures, progress=bar.update
        )
    if as_json:
        print(json.dumps({"exported": len(written), "folder": str(out)}))
    else:
        print(f"{len(written)} edits in {out}")


def _log(store: str) -> Any:
    from liveedit.store.log import EditLog

    return EditLog(store)


def _print(entries: Sequence[Entry], as_json: bool) -> None:
    if as_json:
        print(json.dumps([entry.as_json() for entry in entries], ensure_ascii=False))
    else:
        show_edits(entries)


def _changed(done: str, edits: Sequence[str], revision: int, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"revision": revision, done: list(edits)}))
    else:
        print(f"revision {revision}: {done} {', '.join(edits)}")


def _replays(method: str) -> bool:
    """Whether taking an edit of a method back makes others again; its own is known not to."""
    if method == "liveedit":
        return False
    from liveedit.methods.registry import method_class

    return method_class(method).replays
