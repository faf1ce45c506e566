"""Small made-up edits, and stores for them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import torch
from PIL import Image

from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.memory import MemoryStore
from liveedit.store.records import Identity
from liveedit.store.sql import SqlStore
from liveedit.store.tensors import Keys

RANK, WIDTH, FEATURES = 2, 6, 4
LAYOUT = Layout(
    keys={"vision": FEATURES, "prompt": FEATURES}, values={"u": (None, WIDTH), "v": (None, WIDTH)}
)
IDENTITY = Identity(
    fingerprint={"backbone": "tiny", "edit_layer": 1, "dtype": "float32", "editor": "abc"},
    method="liveedit",
    layout=LAYOUT,
)


def memory_store() -> MemoryStore:
    return MemoryStore(LAYOUT)


def sql_store(location: str | Path, **options: object) -> SqlStore:
    return SqlStore(location, IDENTITY, **options)  # type: ignore[arg-type]


def edit_of(number: int, **fields: object) -> Edit:
    """A made-up edit; every third is text-only."""
    told = {
        "id": f"edit-{number}",
        "prompt": f"question {number}?",
        "target": f"answer {number}",
        "image": None if number % 3 == 2 else f"{number:064d}",
        "author": "ann",
        "reason": "it was wrong",
    }
    return Edit(**(told | fields))  # type: ignore[arg-type]


def content(location: Path) -> list[str]:
    """Everything that an SQLite store holds, whether or not its journal is in the file yet."""
    with closing(sqlite3.connect(f"file:{location}?mode=ro", uri=True)) as connection:
        return list(connection.iterdump())


def rank_of(number: int) -> int:
    """Slots of a made-up expert."""
    return RANK + number % 2


def equal(some: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> bool:
    """Whether tensors of edits are the same, one by one."""
    return len(some) == len(others) and all(map(torch.equal, some, others))


def tensors_of(numbers: Sequence[int]) -> tuple[Keys, dict[str, list[torch.Tensor]]]:
    """What belongs to made-up edits, the same for the same number; ranks differ."""
    rows = []
    for number in numbers:
        random, rank = torch.Generator().manual_seed(number), rank_of(number)
        rows.append(
            [
                torch.randn(*shape, generator=random)
                for shape in ((rank, WIDTH), (rank, WIDTH), (FEATURES,), (FEATURES,))
            ]
        )
    u, v, vision, prompt = (list(parts) for parts in zip(*rows, strict=True))
    sees = torch.tensor([number % 3 != 2 for number in numbers])
    seen = torch.where(sees[:, None], torch.stack(vision), 0.0)
    keys = Keys(vectors={"vision": seen, "prompt": torch.stack(prompt)}, sees=sees)
    return keys, {"u": u, "v": v}


def add(store: MemoryStore | SqlStore, *numbers: int, **fields: object) -> list[Edit]:
    """Add made-up edits as one revision."""
    edits = [edit_of(number, **fields) for number in numbers]
    picture = Image.new("RGB", (4, 3), "red")
    pictures = [None if edit.image is None else picture for edit in edits]
    store.add(edits, *tensors_of(numbers), pictures)
    return edits


def in_force(store: MemoryStore | SqlStore) -> list[str]:
    return [edit.id for edit in store.edits]
