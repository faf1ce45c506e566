"""Edits in memory: a contiguous pool that grows by doubling, so that an edit costs O(1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4

import torch
from jaxtyping import Bool
from torch import Tensor

from liveedit.errors import UnknownEdit
from liveedit.expert import Experts
from liveedit.routing import EditFeatures


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What is kept of a correction for people to read.

    Args:
        prompt: The corrected question.
        target: The answer it now has.
        image: Identity of the picture, see :func:`liveedit.correction.image_identity`; None for a
            text-only edit.
        namespace: The set of edits it belongs to; sets know nothing of each other.
        supersedes: Names of the edits that are out of force as long as this one is not revoked.
        id: Name of the edit, unique.
        created: When it was made, UTC.
    """

    prompt: str
    target: str
    image: str | None
    namespace: str = ""
    supersedes: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: uuid4().hex[:12])
    created: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, kw_only=True)
class Pool:
    """All edits ever made, in order, as tensors; those not in force are not eligible.

    Args:
        ids: Their names.
        experts: u and v, (edits, rank, width).
        features: Edit-side routing features.
        eligible: Which edits may be routed to, for each query or for all.
    """

    ids: Sequence[str]
    experts: Experts
    features: EditFeatures
    eligible: Bool[Tensor, "queries edits"]


class MemoryStore:
    """Edits of one process; gone with it.

    An edit is in force unless it is revoked, or superseded by one that is not revoked.

    Args:
        width: Width of the backbone's states.
        rank: Rank of an expert.
        features: Length of a routing feature.
        device: Where the tensors live.
    """

    def __init__(
        self, *, width: int, rank: int, features: int, device: str | torch.device = "cpu"
    ) -> None:
        self._edits: dict[str, Edit] = {}
        self._rows: dict[str, int] = {}
        self._ids: list[str] = []
        self._superseded: Counter[str] = Counter()
        self._namespaces: dict[str, int] = {}
        self._tensors = {
            "u": torch.empty(0, rank, width, device=device),
            "v": torch.empty(0, rank, width, device=device),
            "vision": torch.empty(0, features, device=device),
            "prompt": torch.empty(0, features, device=device),
            "sees": torch.empty(0, dtype=torch.bool, device=device),
            "namespace": torch.empty(0, dtype=torch.int32, device=device),
            "eligible": torch.empty(0, dtype=torch.bool, device=device),
        }

    def __len__(self) -> int:
        return len(self.edits)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits in force, oldest first."""
        return tuple(edit for edit in self._edits.values() if not self._superseded[edit.id])

    def get(self, edit_id: str) -> Edit:
        """One edit that is not revoked, in force or superseded.

        Raises:
            UnknownEdit: There is none of that name.
        """
        if edit_id not in self._edits:
            raise UnknownEdit(edit_id)
        return self._edits[edit_id]

    def row(self, edit_id: str) -> int:
        """Which row of the pool an edit has, revoked or not."""
        return self._rows[edit_id]

    def add(self, edits: Sequence[Edit], experts: Experts, features: EditFeatures) -> None:
        """Take up edits, one row of the tensors each, and put those they supersede out of force."""
        first, last = len(self._rows), len(self._rows) + len(edits)
        self._reserve(last)
        for name, rows in (
            ("u", experts.u),
            ("v", experts.v),
            ("vision", features.vision),
            ("prompt", features.prompt),
            ("sees", features.sees),
        ):
            self._tensors[name][first:last] = rows
        spaces = [self._namespaces.setdefault(e.namespace, len(self._namespaces)) for e in edits]
        self._tensors["namespace"][first:last] = torch.tensor(spaces, dtype=torch.int32)
        self._tensors["eligible"][first:last] = True
        for row, edit in enumerate(edits, first):
            self._rows[edit.id] = row
            self._ids.append(edit.id)
            self._edits[edit.id] = edit
            self._superseded.update(edit.supersedes)
            self._settle(edit.supersedes)

    def revoke(self, edit_id: str) -> Edit:
        """Put an edit out of force for good; those that it alone superseded are in force again.

        Raises:
            UnknownEdit: There is none of that name, or it is revoked already.
        """
        edit = self.get(edit_id)
        del self._edits[edit_id]
        self._superseded.subtract(edit.supersedes)
        self._settle((edit_id, *edit.supersedes))
        return edit

    @contextmanager
    def transaction(self, *, keep: bool = True) -> Iterator[None]:
        """Edits added within stay if all goes well; after an exception none of them does.

        Args:
            keep: False to take them back in any case.
        """
        count = len(self._ids)
        try:
            yield
        except BaseException:
            keep = False
            raise
        finally:
            if not keep:
                for edit_id in reversed(self._ids[count:]):
                    if edit_id in self._edits:
                        self.revoke(edit_id)
                    del self._rows[edit_id]
                del self._ids[count:]

    def pool(
        self, only: Collection[str] | None = None, *, namespaces: Sequence[str] = ("",)
    ) -> Pool:
        """Views of the tensors; experts and features are not copied.

        Args:
            only: Names of the edits that may be routed to; all in force by default.
            namespaces: The set of edits that each query is about; one for all of them.
        """
        count = len(self._rows)
        views = {name: tensor[:count] for name, tensor in self._tensors.items()}
        eligible = views["eligible"]
        if only is not None:
            chosen = torch.zeros_like(eligible)
            chosen[[self._rows[self.get(edit_id).id] for edit_id in only]] = True
            eligible = eligible & chosen
        spaces = torch.tensor([self._namespaces.get(name, -1) for name in namespaces])
        return Pool(
            ids=self._ids,
            experts=Experts(u=views["u"], v=views["v"]),
            features=EditFeatures(
                vision=views["vision"], prompt=views["prompt"], sees=views["sees"]
            ),
            eligible=eligible & (views["namespace"] == spaces.to(eligible.device)[:, None]),
        )

    def _settle(self, edit_ids: Collection[str]) -> None:
        for edit_id in edit_ids:
            in_force = edit_id in self._edits and not self._superseded[edit_id]
            self._tensors["eligible"][self._rows[edit_id]] = in_force

    def _reserve(self, rows: int) -> None:
        for name, tensor in self._tensors.items():
            if len(tensor) < rows:
                size = max(rows, 2 * len(tensor), 16)
                grown = tensor.new_empty(size, *tensor.shape[1:])
                grown[: len(tensor)] = tensor
                self._tensors[name] = grown
