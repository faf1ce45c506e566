"""What a large store has worked out of its log, in files, so that opening it reads little else.

Rows of a log never change, so a file made from some of them stays good; that it is of this log is
told by the checksum of its last row. Edits that are damaged are in no file. Nothing is lost with
the files: what is missing is made again.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from jaxtyping import Int
from torch import Tensor

from liveedit.store.derived_files import read_derived, write_derived
from liveedit.store.index import Index
from liveedit.store.log import EditLog
from liveedit.store.revisions import RevisionedRows
from liveedit.store.segmented_tensor import SEGMENT


class FeatureFiles:
    """Files of the names and features of ``SEGMENT`` edits each, and one of the index.

    Args:
        folder: Where they are; made when the first is written.
        log: What they are made from.
        dtype: Name of the features' dtype.
    """

    def __init__(self, folder: Path, log: EditLog, dtype: str) -> None:
        self._folder, self._log, self._dtype = folder, log, dtype
        self._count = 0  # so many are kept
        self._indexed = 0  # so many are in the index that is kept
        self._writable = True

    def load(self, rows: RevisionedRows) -> None:
        """Put all that is kept on empty rows; its features are mapped into memory."""
        while (found := read_derived(self._folder, self._name(self._count))) is not None:
            metadata = found.metadata
            if metadata["last"] != self._last(found.tensors["number"], SEGMENT):
                return
            rows.append(
                json.loads(metadata["ids"]),
                json.loads(metadata["namespaces"]),
                json.loads(metadata["supersedes"]),
                found.tensors,
            )
            self._count += 1

    def keep(self, rows: RevisionedRows, damaged: Collection[str]) -> None:
        """Keep what has been published and fills files; from then on the rows map them."""
        while self._writable and SEGMENT * (self._count + 1) <= len(rows.published.in_force):
            if any(rows.row(name) // SEGMENT == self._count for name in damaged):
                return
            part = rows.segment(self._count)
            metadata = {
                "ids": json.dumps(part.ids, ensure_ascii=False),
                "namespaces": json.dumps(part.namespaces, ensure_ascii=False),
                "supersedes": json.dumps(part.supersedes, ensure_ascii=False),
                "last": self._last(part.columns["number"], SEGMENT),
            }
            name = self._name(self._count)
            self._writable = write_derived(self._folder, name, part.columns, metadata) is not None
            again = read_derived(self._folder, name)
            if not self._writable or again is None:
                return
            rows.replace(self._count, again.tensors)
            self._count += 1

    def load_index(self, rows: RevisionedRows) -> Index:
        """The index that is kept, or an empty one."""
        found = read_derived(self._folder, f"index-{self._dtype}")
        if found is not None:
            count = int(found.metadata["count"])
            numbers = rows.published.tensors["number"]
            if count <= len(numbers) and found.metadata["last"] == self._last(numbers, count):
                self._indexed = count
                return Index.restored(found.tensors, found.metadata)
        return Index()

    def keep_index(self, index: Index, rows: RevisionedRows, *, closing: bool = False) -> None:
        """Keep an index that has grown by an eighth, or at all if the store is being closed."""
        if index.count <= self._indexed * (1 if closing else 9 / 8) or not self._writable:
            return
        tensors, metadata = index.state()
        last = self._last(rows.published.tensors["number"], index.count)
        write_derived(self._folder, f"index-{self._dtype}", tensors, metadata | {"last": last})
        self._indexed = index.count

    def _last(self, numbers: Int[Tensor, " rows"], count: int) -> str:
        return self._log.checksum_of(int(numbers[count - 1])) or ""

    def _name(self, number: int) -> str:
        return f"features-{self._dtype}-{number:05d}"
