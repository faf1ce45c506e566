"""All edits of a store as two files beside a saved model: texts as JSON, tensors as safetensors."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from liveedit.errors import BadCheckpoint
from liveedit.saving.files import whole, write_whole
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.ragged import joined, parted
from liveedit.store.tensors import Keys

EDITS_FILE, TENSORS_FILE = "edits.json", "edits.safetensors"
_FORMAT = 2
_READABLE = (1, 2)  # in 1 all experts have the same number of slots


def save_edits(store: Store, folder: Path, layout: Layout) -> None:
    """Write all edits that are not revoked; files appear whole or not at all.

    Args:
        store: Where the edits are.
        folder: There already.
        layout: The tensors that an edit has.
    """
    pool = store.pool()
    names = pool.ids[: len(pool.keys)]  # others may be written meanwhile
    known = store.some(names)
    rows = torch.tensor([row for row, name in enumerate(names) if name in known], dtype=torch.long)
    keys = pool.keys[rows].whole
    tensors = {**keys.vectors, "sees": keys.sees}
    if len(rows):
        tensors |= joined(pool.take(rows), layout.values)
    with whole(folder / TENSORS_FILE) as part:
        save_file({name: value.contiguous().cpu() for name, value in tensors.items()}, part)
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
    described = {
        "format": _FORMAT,
        "sha256": digest,
        "edits": [
            asdict(replace(edit, supersedes=tuple(one for one in edit.supersedes if one in known)))
            | {"created": edit.created.isoformat()}
            for edit in known.values()
        ],
    }
    write_whole(folder / EDITS_FILE, json.dumps(described, indent=1, ensure_ascii=False) + "\n")


def load_edits(folder: Path, store: Store, layout: Layout) -> None:
    """Add what `save_edits` wrote to a store.

    Args:
        folder: Where the files are.
        store: Takes the edits.
        layout: The tensors that an edit has.

    Raises:
        BadCheckpoint: The files are damaged, or of another format.
    """
    try:
        described = json.loads((folder / EDITS_FILE).read_text(encoding="utf-8"))
        if described["format"] not in _READABLE:
            raise BadCheckpoint(
                f"the edits in {folder} have format {described['format']}, this version reads up "
                f"to {_FORMAT}; install the liveedit they were saved with"
            )
        data = (folder / TENSORS_FILE).read_bytes()
        if hashlib.sha256(data).hexdigest() != described["sha256"]:
            raise BadCheckpoint(
                f"{folder / TENSORS_FILE} is damaged, or not of this {EDITS_FILE}; copy both again"
            )
        tensors = load_file(folder / TENSORS_FILE)
        edits = [
            Edit(
                **one
                | {
                    "supersedes": tuple(one["supersedes"]),
                    "rephrasings": tuple(one.get("rephrasings", ())),
                    "created": datetime.fromisoformat(one["created"]),
                }
            )
            for one in described["edits"]
        ]
        if not edits:
            return
        keys = Keys(vectors={name: tensors[name] for name in layout.keys}, sees=tensors["sees"])
        values = parted(tensors, layout.values)
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise BadCheckpoint(f"{folder} holds no edits that can be read ({error})") from error
    store.add(edits, keys, values)
