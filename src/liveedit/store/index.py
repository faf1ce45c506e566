"""An index that proposes: which of very many edits may concern a query.

FAISS: inner products of all keys of an edit together, projected to fewer dimensions,
inverted lists over 8-bit codes. What is in force and of the query's namespace is given to the
search as a bitmap, so that nothing else takes a proposal's place.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.util import find_spec
from threading import Lock
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from liveedit.store.tensors import KeyRows, Keys

_log = logging.getLogger(__name__)
_WIDTH = 128  # dimensions that are kept
_SAMPLE = 32768  # rows that projection and lists are fitted to
_KINDS = {True: "picture", False: "text"}
_REFIT = 8  # fitted anew when there are so many times more rows


def can_index() -> bool:
    """Whether FAISS is installed."""
    if find_spec("faiss") is None:
        _log.info("without faiss-cpu (extra 'scale') every query is compared with all edits")
        return False
    return True


class Index:
    """Two inverted files, of edits with a picture and of text-only ones.

    Args:
        proposals: Rows proposed for one query.
        probes: Lists looked into for one query.
    """

    def __init__(self, *, proposals: int = 128, probes: int = 32) -> None:
        self.proposals, self.probes = proposals, probes
        self._parts: dict[bool, _Part] = {}
        self._selectors: dict[int, tuple[Tensor, Any]] = {}
        self._lock = Lock()  # FAISS may not search while rows are added
        self.count = 0

    def follow(self, keys: KeyRows) -> None:
        """Take up the rows that have come since.

        Args:
            keys: Of all rows, the known ones first.
        """
        with self._lock:
            fresh = torch.arange(self.count, len(keys))
            kinds = keys.sees.cpu()
            for sees in (True, False):
                rows = fresh[kinds[fresh] == sees]
                if len(rows):
                    part = self._parts.setdefault(sees, _Part())
                    part.rows += len(rows)
                    if part.rows > _REFIT * part.fitted:
                        rows = (kinds == sees).nonzero().flatten()
                        part.fit(_joined(keys[rows[_sample(len(rows))]].whole), len(rows))
                    for some in rows.split(_SAMPLE):
                        part.add(_joined(keys[some].whole), some)
            self.count = len(keys)

    def state(self) -> tuple[dict[str, Tensor], dict[str, str]]:
        """All of it, as tensors and texts, for :meth:`restored`."""
        with self._lock:
            tensors, metadata = {}, {"count": str(self.count)}
            for sees, part in self._parts.items():
                for name, tensor in part.state().items():
                    tensors[f"{_KINDS[sees]}.{name}"] = tensor
        return tensors, metadata

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> Index:
        """From what :meth:`state` gave."""
        index = cls()
        index.count = int(metadata["count"])
        for sees, kind in _KINDS.items():
            mine = {
                name.removeprefix(f"{kind}."): tensor
                for name, tensor in tensors.items()
                if name.startswith(f"{kind}.")
            }
            if mine:
                index._parts[sees] = _Part.restored(mine)
        return index

    def propose(
        self, queries: Keys, eligible: Bool[Tensor, "queries edits"]
    ) -> Int[Tensor, " rows"]:
        """Rows that may concern any of the queries, in order; all that are not taken up yet do."""
        asked = _joined(queries)
        with self._lock:
            found = self._search(asked, queries.sees.cpu(), eligible)
            found.append(np.arange(self.count, eligible.shape[1]))
        rows = np.unique(np.concatenate(found))
        return torch.from_numpy(rows[rows >= 0]).to(eligible.device)

    def _search(
        self,
        asked: Float[Tensor, "batch lengths"],
        kinds: Bool[Tensor, " batch"],
        eligible: Bool[Tensor, "queries edits"],
    ) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
        found = []
        for sees, part in self._parts.items():
            which = (kinds == sees).nonzero().flatten()
            if not len(which):
                continue
            if len(eligible) == 1:
                found.append(part.search(asked[which], self._selector(eligible[0]), self))
            else:
                found += [
                    part.search(asked[row : row + 1], _selector(eligible[row]), self)
                    for row in which.tolist()
                ]
        return found

    def _selector(self, eligible: Bool[Tensor, " edits"]) -> Any:
        """The same mask is asked with again and again, as long as nothing changes."""
        known = self._selectors.get(eligible.data_ptr())
        if known is None or len(known[0]) != len(eligible):
            if len(self._selectors) >= 4:
                self._selectors.clear()
            known = eligible, _selector(eligible)  # holding the mask keeps its address its own
            self._selectors[eligible.data_ptr()] = known
        return known[1]


class _Part:
    def __init__(self) -> None:
        self.rows = self.fitted = 0
        self._lists: Any = None
        self._project = torch.empty(0, 0)

    def fit(self, sample: Float[Tensor, "some lengths"], rows: int) -> None:
        """Directions that hold most of the features, and centres of the lists."""
        faiss = _faiss()
        width = min(_WIDTH, *sample.shape)
        _, _, directions = torch.svd_lowrank(sample, q=width, niter=2)
        self._project = directions
        lists = max(1, min(int(4 * rows**0.5), len(sample) // 40))
        self._lists = faiss.index_factory(width, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
        self._lists.train((sample @ directions).numpy())
        self.fitted = self.rows = rows
        _log.info("index fitted to %d of %d edits, %d lists", len(sample), rows, lists)

    def add(self, keys: Float[Tensor, "some lengths"], rows: Int[Tensor, " some"]) -> None:
        """Rows by their numbers."""
        self._lists.add_with_ids((keys @ self._project).numpy(), rows.numpy())

    def state(self) -> dict[str, Tensor]:
        """For :meth:`restored`."""
        return {
            "lists": torch.from_numpy(_faiss().serialize_index(self._lists)),
            "project": self._project,
            "rows": torch.tensor([self.rows, self.fitted]),
        }

    @classmethod
    def restored(cls, state: Mapping[str, Tensor]) -> _Part:
        """From what :meth:`state` gave."""
        part = cls()
        part.rows, part.fitted = state["rows"].tolist()
        part._project = state["project"]
        part._lists = _faiss().deserialize_index(state["lists"].numpy())
        return part

    def search(
        self, queries: Float[Tensor, "some lengths"], selector: Any, index: Index
    ) -> np.ndarray[Any, np.dtype[np.int64]]:
        """Numbers of the rows proposed; -1 where there are none left."""
        how = _faiss().SearchParametersIVF(sel=selector, nprobe=index.probes)
        found = self._lists.search((queries @ self._project).numpy(), index.proposals, params=how)
        return found[1].ravel()


def _faiss() -> Any:
    """FAISS, whose own annotations do not know what its Python layer accepts."""
    from importlib import import_module

    return import_module("faiss")


def _selector(eligible: Bool[Tensor, " edits"]) -> Any:
    return _faiss().IDSelectorBitmap(np.packbits(eligible.cpu().numpy(), bitorder="little"))


def _joined(keys: Keys) -> Float[Tensor, "some lengths"]:
    """All keys of a row side by side; those of a picture are zero where there is none."""
    return keys.joined.cpu()


def _sample(count: int) -> Int[Tensor, " some"]:
    if count <= _SAMPLE:
        return torch.arange(count)
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))[:_SAMPLE]
