"""Edits as a folder that any store of the same backbone and method takes up again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from liveedit.errors import BadImport, DamagedEdit
from liveedit.store.checksums import checksum
from liveedit.store.edit import Edit
from liveedit.store.export_pictures import (
    FILES,
    THUMBNAILS,
    read_files,
    read_thumbnails,
    write_pictures,
)
from liveedit.store.layout import Layout
from liveedit.store.legacy import METHOD, any_rank, legacy_layout
from liveedit.store.log import EditLog
from liveedit.store.ragged import joined, parted
from liveedit.store.records import Entry, Identity, NewEdit
from liveedit.store.serialization import BadBytes, pack, unpack

_log = logging.getLogger(__name__)
MANIFEST, EDITS, CARD = "store.json", "edits.jsonl", "README.md"
_FORMAT = 3
# what the manifest must hold, by its format
_FIELDS = {
    1: {"fingerprint", "rank", "width", "features", "checksums"},
    2: {"fingerprint", "method", "layout", "checksums"},
    3: {"fingerprint", "method", "layout", "checksums"},
}
_PART = 1024  # edits in one file of tensors
_SHOWN = 20  # edits that the card shows


def is_export(path: Path) -> bool:
    """Whether a path is a folder that :func:`export_edits` wrote."""
    return (path / MANIFEST).is_file()


def export_edits(
    log: EditLog,
    folder: Path,
    *,
    as_of: int | None = None,
    namespace: str | None = None,
    files: bool = True,
    progress: Callable[[int], object] = lambda edits: None,
) -> list[Edit]:
    """Write the edits that are not revoked: tensors, texts, pictures, and a card.

    Args:
        log: Of the store.
        folder: Made; must be empty.
        as_of: A revision; the newest by default.
        namespace: Only of this set.
        files: With the pictures themselves, as far as they are kept, beside thumbnails.
        progress: Told of the edits that were written.

    Returns:
        What was written. Damaged edits are left out.

    Raises:
        BadImport: The folder is not empty.
        UnknownRevision: It is still to come.
    """
    as_of = log.revision if as_of is None else as_of
    entries = [
        entry
        for entry in log.entries(as_of=as_of, namespace=namespace)
        if entry.state in ("in force", "superseded")
    ]
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BadImport(f"{folder} is not empty; give a folder that is not there yet")
    sums: dict[str, str] = {}
    lines: list[str] = []
    written: list[Entry] = []
    for start in range(0, len(entries), _PART):
        some = entries[start : start + _PART]
        name = f"edits-{start // _PART + 1:05d}.safetensors"
        tensors = _tensors(log, [entry.edit.id for entry in some])
        kept = [entry for entry in some if entry.edit.id in tensors]
        for row, entry in enumerate(kept):
            line = {**entry.as_json(), "tensors": name, "row": row}
            lines.append(json.dumps(line, ensure_ascii=False) + "\n")
        if kept:
            parts = [tensors[entry.edit.id] for entry in kept]
            shapes = log.identity.layout.shapes
            data = save(joined({key: [one[key] for one in parts] for key in shapes}, shapes))
            (folder / name).write_bytes(data)
            sums[name] = checksum(data)
        images = {str(entry.edit.image) for entry in kept if entry.edit.image}
        sums |= write_pictures(log, folder, images, files=files)
        written += kept
        progress(len(some))
    text = "".join(lines).encode()
    (folder / EDITS).write_bytes(text)
    sums[EDITS] = checksum(text)
    identity = log.identity
    manifest = {
        "format": _FORMAT,
        "fingerprint": identity.fingerprint,
        "method": identity.method,
        "layout": identity.layout.as_json(),
        "settings": dict(identity.settings),
        "revision": as_of,
        "edits": len(written),
        "checksums": sums,
    }
    (folder / CARD).write_text(_card(written, identity, as_of), encoding="utf-8")
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    return [entry.edit for entry in written]


def identity_of_export(folder: Path) -> Identity:
    """What the edits of a folder were made with.

    Raises:
        BadImport: It is no export, or of another format.
    """
    manifest = _manifest(folder)
    if manifest["format"] == 1:
        sizes = {name: manifest[name] for name in ("rank", "width", "features")}
        method, layout = METHOD, legacy_layout(**sizes)
    else:
        method, layout = manifest["method"], Layout.from_json(manifest["layout"])
    if manifest["format"] < 3:
        layout = any_rank(method, layout)
    return Identity(
        fingerprint=manifest["fingerprint"],
        method=method,
        layout=layout,
        settings=manifest.get("settings", {}),
    )


def import_edits(
    log: EditLog,
    folder: Path,
    *,
    author: str = "",
    progress: Callable[[int], object] = lambda edits: None,
) -> tuple[int, int]:
    """Take up the edits of a folder, so many at a time, each time as one revision.

    Args:
        log: Of a store for the same backbone and editor.
        folder: What :func:`export_edits` wrote.
        author: Who imports; each edit keeps its own.
        progress: Told of the edits that were looked at.

    Returns:
        How many were written, and how many the store held before.

    Raises:
        BadImport: Something in the folder is not as it was written; what came before was imported.
        StoreError: The store cannot be written.
    """
    sums = _manifest(folder)["checksums"]
    lines = [json.loads(line) for line in _read(folder, EDITS, sums).decode().splitlines()]
    written = 0
    for name in dict.fromkeys(line["tensors"] for line in lines):
        some = [line for line in lines if line["tensors"] == name]
        new = _new_edits(some, _read(folder, name, sums), log, folder)
        known = _known(log, [one.edit for one in new])
        fresh = [one for one in new if one.edit.id not in known]
        if fresh:
            images = {one.edit.image for one in fresh}
            pictures = read_thumbnails(folder, images, sums)
            for files in read_files(folder, images, pictures.parts, sums):
                log.add_files(files)  # first: what is there already is not imported again
            log.append(fresh, pictures, author=author, reason=f"imported from {folder.name}")
        written += len(fresh)
        progress(len(some))
    return written, len(lines) - written


def _tensors(log: EditLog, ids: Sequence[str]) -> dict[str, dict[str, Tensor]]:
    """Tensors of edits by their names; damaged ones are left out."""
    layout, found = log.identity.layout, {}
    for row in log.stored(ids):
        if row.problem is None:
            try:
                values = log.values([row.number])[row.number]
                found[row.edit.id] = {
                    **unpack(row.keys, layout.key_shapes),
                    **unpack(values, layout.values),
                }
            except (DamagedEdit, BadBytes) as error:
                _log.error("edit %s is damaged and was left out: %s", row.edit.id, error)
    return found


def _known(log: EditLog, edits: Sequence[Edit]) -> set[str]:
    """Which of them are in the store already, by name or by what they say."""
    known = {row.edit.id for row in log.stored([edit.id for edit in edits])}
    for space in {edit.namespace for edit in edits}:
        there = log.known([e.digest for e in edits if e.namespace == space], space)
        known |= {e.id for e in edits if e.namespace == space and e.digest in there}
    return known


def _new_edits(
    lines: Sequence[dict[str, Any]], data: bytes, log: EditLog, folder: Path
) -> list[NewEdit]:
    try:
        layout = log.identity.layout
        tensors = parted(load(data), layout.shapes)
        found = []
        for line in lines:
            keys, values = (
                pack({name: tensors[name][line["row"]] for name in shapes})
                for shapes in (layout.key_shapes, layout.values)
            )
            unpack(keys, layout.key_shapes)
            unpack(values, layout.values)
            found.append(NewEdit(edit=_edit(line), keys=keys, values=values))
    except (SafetensorError, BadBytes, LookupError, ValueError, TypeError) as error:
        raise BadImport(f"the edits in {folder} cannot be used ({error}); export anew") from error
    return found


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] not in _FIELDS:
            raise BadImport(
                f"{folder} has format {manifest['format']}, this release reads up to {_FORMAT}; "
                "install the liveedit that wrote it"
            )
        missing = _FIELDS[manifest["format"]] - manifest.keys()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadImport(f"{folder} holds no exported edits ({error}); export anew") from error
    if missing:
        raise BadImport(f"{folder / MANIFEST} lacks {', '.join(sorted(missing))}; export anew")
    return manifest


def _read(folder: Path, name: str, sums: dict[str, str]) -> bytes:
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise BadImport(
            f"{folder / name} cannot be read ({error}); copy the folder again"
        ) from error
    if checksum(data) != sums.get(name):
        raise BadImport(f"{folder / name} is not as it was written; copy the folder again")
    return data


def _edit(line: dict[str, Any]) -> Edit:
    texts = ("id", "namespace", "image", "prompt", "target", "author", "reason")
    return Edit(
        **{name: line[name] for name in texts},
        created=datetime.fromisoformat(line["created"]),
        supersedes=tuple(line["supersedes"]),
        rephrasings=tuple(line.get("rephrasings", ())),
    )


def _card(entries: Sequence[Entry], identity: Identity, revision: int) -> str:
    spaces = sorted({entry.edit.namespace for entry in entries})
    authors = sorted({entry.edit.author for entry in entries} - {""})
    facts = [
        ("edits", len(entries)),
        ("in force", sum(entry.state == "in force" for entry in entries)),
        ("namespaces", ", ".join(space or "(default)" for space in spaces) or "none"),
        ("authors", ", ".join(authors) or "not named"),
        ("revision of the store", revision),
        ("method", identity.method),
        *identity.fingerprint.items(),
    ]
    layout = identity.layout
    tensors = ", ".join(f"`{name}`" for name in (*layout.keys, *layout.values))
    lines = [
        "# Edits of a vision-language model",
        "",
        "Exported by `liveedit edit export`. They fit the backbone and the method named here, and "
        "no other.",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {_cell(value)} |" for name, value in facts),
        "",
        "## Use",
        "",
        "```sh",
        "liveedit edit import FOLDER --store edits.db",
        'liveedit ask PICTURE "a question" --store edits.db',
        "```",
        "",
        f"`{EDITS}` has one edit a line, which names the safetensors file and the row of its "
        f"tensors: {tensors}. "
        f"`{THUMBNAILS}/` holds thumbnails by the identity of the picture, `{FILES}/` the pictures "
        "themselves, if they were kept.",
        "",
        "## The first edits" if len(entries) > _SHOWN else "## The edits",
        "",
        "| question | answer | author | reason | made |",
        "|---|---|---|---|---|",
        *(
            f"| {_cell(e.prompt)} | {_cell(e.target)} | {_cell(e.author)} | {_cell(e.reason)} | "
            f"{e.created:%Y-%m-%d} |"
            for e in (entry.edit for entry in entries[:_SHOWN])
        ),
    ]
    return "\n".join(lines) + "\n"


def _cell(value: object) -> str:
    """Text that cannot break out of a table, nor become a tag."""
    text = " ".join(str(value).split())
    for char in "\\`*_[]<>|":
        text = text.replace(char, f"\\{char}" if char not in "<>" else f"&{'lg'[char == '>']}t;")
    return text
