"""From edits and their tensors to what a log writes."""

from __future__ import annotations

from collections.abc import Sequence

from liveedit.store.edit import Edit
from liveedit.store.records import NewEdit
from liveedit.store.serialization import pack
from liveedit.store.tensors import Keys, Values


def packed(edits: Sequence[Edit], keys: Keys, values: Values) -> list[NewEdit]:
    """Edits as bytes, one each.

    Args:
        edits: What they are.
        keys: What queries are compared with.
        values: Their other tensors by name, one for each edit.
    """
    found = []
    for row, edit in enumerate(edits):
        own, more = (
            pack({name: tensor[row] for name, tensor in tensors.items()})
            for tensors in (keys.vectors, values)
        )
        found.append(NewEdit(edit=edit, keys=own, values=more))
    return found
