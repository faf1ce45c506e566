"""Rows of all edits of a store, and which of them are in force, revision by revision."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from liveedit.errors import UnknownEdit, UnknownRevision
from liveedit.store.in_force import InForce
from liveedit.store.index import Index
from liveedit.store.pool import Pool, ReadEdits, TakeValues, count_kinds
from liveedit.store.segmented_tensor import SEGMENT, GrowingTensor, SegmentedTensor
from liveedit.store.tensors import KeyRows

_PASTS = 8  # earlier revisions whose masks are kept
_MASKS = 64  # namespaces whose masks are kept for a revision

Mask = tuple[Bool[Tensor, "1 rows"], Int[Tensor, "1 2"]]


@dataclass(frozen=True, kw_only=True)
class RevisionView:
    """One revision: so many rows of the tensors, and which of them are in force.

    Args:
        revision: Its number.
        keys: Names of the columns that queries are compared with.
        rows: Of the columns that hold a vector or matrix for each edit, by name.
        tensors: The columns that hold one number for each edit.
        in_force: A copy of its own.
        masks: What is in force, and how many of each kind, by namespace, where it has been asked
            for.
    """

    revision: int
    keys: Sequence[str]
    rows: Mapping[str, SegmentedTensor]
    tensors: Mapping[str, Tensor]
    in_force: Bool[Tensor, " rows"]
    masks: dict[str, Mask] = field(default_factory=dict)

    @property
    def key_rows(self) -> KeyRows:
        """Keys of all rows."""
        return KeyRows(
            columns={name: self.rows[name] for name in self.keys}, sees=self.tensors["sees"]
        )


@dataclass(frozen=True, kw_only=True)
class Segment:
    """``SEGMENT`` rows that were published, as :meth:`RevisionedRows.append` takes them."""

    ids: list[str]
    namespaces: list[str]
    supersedes: list[list[str]]
    columns: dict[str, Tensor]


class RevisionedRows:
    """Rows are only ever appended, so that views of them stay good.

    Writers must exclude each other. Readers need not wait: they get the view of the last revision
    that was published, while those who write see :meth:`now`.

    Args:
        keys: Names of the columns that queries are compared with.
        columns: An empty tensor for each column, (0, ...). Those of vectors and matrices are kept
            in segments; those of single numbers double when they are full.
        device: Where they live.
    """

    def __init__(
        self, keys: Sequence[str], columns: Mapping[str, Tensor], *, device: str | torch.device
    ) -> None:
        def bare(dtype: torch.dtype) -> Tensor:
            return torch.empty(0, dtype=dtype, device=device)

        self._keys = tuple(keys)
        empty = {name: tensor.to(device) for name, tensor in columns.items()}
        self._grown = {
            name: GrowingTensor(tensor) for name, tensor in empty.items() if tensor.ndim > 1
        }
        self._tensors = {name: tensor for name, tensor in empty.items() if tensor.ndim == 1} | {
            "namespace": bare(torch.int32),
            "revision": bare(torch.int64),
            "in_force": bare(torch.bool),
        }
        self.ids: list[str] = []
        self._rows: dict[str, int] = {}
        self._namespaces: dict[str, int] = {}
        self._force: InForce[int] = InForce()
        self._supersedes: dict[int, tuple[int, ...]] = {}
        self._dropped: set[int] = set()
        self._events: list[tuple[int, bool, int]] = []  # revision, restored or revoked, row
        self._pasts: dict[int, RevisionView] = {}
        self._swap = Lock()
        self.published = self.now(0)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, edit_id: object) -> bool:
        return edit_id in self._rows

    def row(self, edit_id: str) -> int:
        """Which row an edit has, revoked or not.

        Raises:
            UnknownEdit: There is none of that name.
        """
        if edit_id not in self._rows:
            raise UnknownEdit(edit_id)
        return self._rows[edit_id]

    def last(self, column: str) -> int:
        """What the last row has in a column of whole numbers; 0 if there is none."""
        return int(self._tensors[column][len(self.ids) - 1]) if self.ids else 0

    def revoked(self, edit_id: str) -> bool:
        """Whether an edit has been taken back."""
        return self.row(edit_id) in self._force.revoked

    def append(
        self,
        ids: Sequence[str],
        namespaces: Sequence[str],
        supersedes: Sequence[Sequence[str]],
        columns: Mapping[str, Tensor],
    ) -> None:
        """Take up edits, one row each, and put those they supersede out of force.

        Args:
            ids: Their names.
            namespaces: The sets they belong to.
            supersedes: Names of the edits that each puts out of force; unknown ones do not matter.
            columns: All columns, and ``revision``, with which each came.
        """
        first, last = len(self.ids), len(self.ids) + len(ids)
        self._reserve(last)
        for name, rows in columns.items():
            if name in self._grown:
                self._grown[name].write(first, rows)
            else:
                self._tensors[name][first:last] = rows
        spaces = [self._namespaces.setdefault(n, len(self._namespaces)) for n in namespaces]
        self._tensors["namespace"][first:last] = torch.tensor(spaces, dtype=torch.int32)
        self._tensors["in_force"][first:last] = True
        for row, (edit_id, gone) in enumerate(zip(ids, supersedes, strict=True), first):
            self._rows[edit_id] = row
            self.ids.append(edit_id)
            others = tuple(self._rows[one] for one in gone if one in self._rows)
            if others:
                self._supersedes[row] = others
                self._settle(self._force.add(row, others))

    def fill(self, column: str, first: int, values: Tensor) -> None:
        """Set what was not known yet of rows that are not published."""
        self._tensors[column][first : first + len(values)] = values

    def truncate(self, count: int) -> None:
        """Forget all rows but the first; they must not have been published."""
        for row in range(len(self.ids) - 1, count - 1, -1):
            self._settle(self._force.forget(row))
            self._supersedes.pop(row, None)
            del self._rows[self.ids[row]]
        del self.ids[count:]

    def revoke(self, edit_id: str, revision: int) -> None:
        """Put an edit out of force; those that it alone superseded are in force again."""
        self._event(edit_id, False, revision)

    def restore(self, edit_id: str, revision: int) -> None:
        """Put an edit that was revoked in force again, and what it supersedes out of it."""
        self._event(edit_id, True, revision)

    def drop(self, edit_id: str) -> None:
        """Never route to this row again, whatever the log says; for damaged edits."""
        row = self.row(edit_id)
        self._dropped.add(row)  # what it supersedes stays out of force: those answers are outdated
        self._settle((row,))
        self._pasts.clear()
        with self._swap:
            last = self.published
            in_force = last.in_force.clone()
            in_force[row : row + 1] = False
            self.published = replace(last, in_force=in_force, masks={})

    def publish(self, revision: int) -> None:
        """From now on readers see the rows as they are."""
        with self._swap:
            self.published = self.now(revision)

    def segment(self, number: int) -> Segment:
        """Rows that fill a segment of those that were published."""
        start, end = SEGMENT * number, SEGMENT * (number + 1)
        spaces = list(self._namespaces)
        columns = {name: tensor[start:end] for name, tensor in self.published.tensors.items()}
        return Segment(
            ids=self.ids[start:end],
            namespaces=[spaces[row] for row in columns.pop("namespace").tolist()],
            supersedes=[
                [self.ids[one] for one in self._supersedes.get(row, ())]
                for row in range(start, end)
            ],
            columns=columns
            | {name: rows.segments[number] for name, rows in self.published.rows.items()},
        )

    def replace(self, number: int, columns: Mapping[str, Tensor]) -> None:
        """Put tensors of the same content in place of a segment, so that its memory is freed."""
        for name, grown in self._grown.items():
            grown.replace(number, columns[name].to(self._tensors["sees"].device))
        self.publish(self.published.revision)

    def now(self, revision: int) -> RevisionView:
        """The rows as they are, published or not."""
        count = len(self.ids)
        tensors = {name: tensor[:count] for name, tensor in self._tensors.items()}
        rows = {name: grown.first(count) for name, grown in self._grown.items()}
        in_force = tensors.pop("in_force").clone()
        return RevisionView(
            revision=revision, keys=self._keys, rows=rows, tensors=tensors, in_force=in_force
        )

    def at(self, revision: int) -> RevisionView:
        """The rows as they were.

        Raises:
            UnknownRevision: It is still to come.
        """
        newest = self.published
        if not 0 <= revision <= newest.revision:
            raise UnknownRevision(revision, newest=newest.revision)
        if revision == newest.revision:
            return newest
        if revision not in self._pasts:
            if len(self._pasts) >= _PASTS:
                del self._pasts[min(self._pasts)]
            self._pasts[revision] = self._past(revision, newest)
        return self._pasts[revision]

    def pool(
        self,
        view: RevisionView,
        take: TakeValues,
        edits_of: ReadEdits,
        thumbnail: Callable[[str], bytes | None],
        only: Collection[str] | None,
        namespaces: Sequence[str],
        index: Index | None = None,
    ) -> Pool:
        """What may be routed to in a view.

        Args:
            view: A revision.
            take: Gives values by row.
            edits_of: Gives edits by name.
            thumbnail: Gives thumbnails by the identity of the picture.
            only: Names of the edits that may be routed to; all in force by default.
            namespaces: The set of edits that each query is about; one for all of them.
            index: Proposes rows, if there are very many.

        Raises:
            UnknownEdit: One is unknown, or revoked now.
        """
        masks = [self._mask(view, name) for name in namespaces]
        eligible, crowd = (_joined(parts) for parts in zip(*masks, strict=True))
        if only is not None:
            chosen = torch.zeros_like(view.in_force)
            rows = [self.row(edit_id) for edit_id in only]
            if any(row in self._force.revoked for row in rows):
                raise UnknownEdit(next(one for one in only if self.revoked(one)))
            chosen[[row for row in rows if row < len(chosen)]] = True
            eligible = eligible & chosen
            crowd = count_kinds(eligible, view.tensors["sees"])
        return Pool(
            ids=self.ids,
            keys=view.key_rows,
            eligible=eligible,
            crowd=crowd,
            take=take,
            edits_of=edits_of,
            thumbnail=thumbnail,
            revision=view.revision,
            index=index,
        )

    def _mask(self, view: RevisionView, namespace: str) -> Mask:
        mask = view.masks.get(namespace)
        if mask is None:
            if len(view.masks) >= _MASKS:
                view.masks.clear()
            eligible = view.in_force[None]
            number = self._namespaces.get(namespace, -1)
            if number < 0 or len(self._namespaces) > 1:
                eligible = eligible & (view.tensors["namespace"] == number)
            mask = eligible, count_kinds(eligible, view.tensors["sees"])
            view.masks[namespace] = mask
        return mask

    def _past(self, revision: int, newest: RevisionView) -> RevisionView:
        force: InForce[int] = InForce()
        born: Int[Tensor, " rows"] = newest.tensors["revision"]
        in_force = born <= revision
        changed: set[int] = set()
        for row, gone in list(self._supersedes.items()):
            if row < len(born) and born[row] <= revision:
                changed.update(force.add(row, gone))
        for when, restored, row in list(self._events):
            if when <= revision:
                changed.update(force.restore(row) if restored else force.revoke(row))
        for row in changed:
            in_force[row] &= row in force
        in_force[list(self._dropped)] = False
        return replace(newest, revision=revision, in_force=in_force, masks={})

    def _event(self, edit_id: str, restored: bool, revision: int) -> None:
        row = self.row(edit_id)
        self._events.append((revision, restored, row))
        self._settle(self._force.restore(row) if restored else self._force.revoke(row))

    def _settle(self, rows: Collection[int]) -> None:
        for row in rows:
            self._tensors["in_force"][row] = row in self._force and row not in self._dropped

    def _reserve(self, rows: int) -> None:
        for name, tensor in self._tensors.items():
            if len(tensor) < rows:
                size = max(rows, 2 * len(tensor), 16)
                grown = tensor.new_empty(size, *tensor.shape[1:])
                grown[: len(tensor)] = tensor
                self._tensors[name] = grown


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """One below the other, without a needless copy."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts))
