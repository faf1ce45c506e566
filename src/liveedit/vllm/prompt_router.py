"""From the states of prompts to the experts that concern them, each in the revision it asks for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from liveedit.errors import StoreBusy, StoreUnreachable
from liveedit.methods.liveedit.context import answer_part
from liveedit.methods.liveedit.features import QueryInputs
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import Representation
from liveedit.methods.liveedit.residual import RoutedExperts
from liveedit.methods.liveedit.selection import choose_experts
from liveedit.methods.shared.undamaged import with_undamaged
from liveedit.store.base import Store
from liveedit.store.pool import Pool
from liveedit.vllm.asked import Asked
from liveedit.vllm.pictures import SentPictures

_log = logging.getLogger(__name__)
_PATIENCE, _PAUSE = 60.0, 0.5  # seconds that a store may be away, and between two tries
_UNSEEN = SentPictures(identity=None, picture=None)
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class RoutedPrompt:
    """The experts of one request, their slots one behind the other.

    Args:
        u: Of each slot.
        v: The same.
        weights: Of each slot, none of them zero.
    """

    u: Float[Tensor, "slots width"]
    v: Float[Tensor, "slots width"]
    weights: Float[Tensor, " slots"]


class PromptRouter:
    """Routes prompts by an editor in a store, which it follows.

    Args:
        network: The editor.
        store: Edits that were made with it.
    """

    def __init__(self, network: EditorNetwork, store: Store) -> None:
        self.network, self.store = network, store

    @torch.no_grad()
    def route(
        self,
        prompts: Representation,
        asked: Sequence[Asked],
        pictures: Mapping[int, SentPictures],
        questions: Sequence[str | None] = (),
    ) -> list[RoutedPrompt | None]:
        """The experts of each prompt; None for one that no edit concerns.

        Args:
            prompts: Standardised states of whole prompts.
            asked: What each asks for.
            pictures: Those of some rows.
            questions: The words of each, if they are compared.
        """
        found: list[RoutedPrompt | None] = [None] * len(asked)
        for revision in dict.fromkeys(one.revision for one in asked):
            rows = [row for row, one in enumerate(asked) if one.revision == revision]
            own = [asked[row] for row in rows]
            routed = self._routed(prompts, rows, own, pictures, questions, revision)
            for index, row in enumerate(rows):
                found[row] = None if routed is None else _own(routed, index)
        return found

    def answer_share(self, length: int) -> float:
        """What a decoded token gets of what is added, after a prompt of so many tokens.

        See :func:`liveedit.methods.liveedit.context.answer_part`.
        """
        return float(answer_part(torch.tensor(length), self.network.router.context))

    def _routed(
        self,
        prompts: Representation,
        rows: Sequence[int],
        asked: Sequence[Asked],
        pictures: Mapping[int, SentPictures],
        questions: Sequence[str | None],
        revision: int | None,
    ) -> RoutedExperts | None:
        pool = self._pool(asked, revision)
        if not pool.eligible.any():
            return None
        index = torch.tensor(rows, device=prompts.states.device)
        own = Representation(
            states=prompts.states[index],
            spans=replace(
                prompts.spans,
                vision=prompts.spans.vision[index],
                prompt=prompts.spans.prompt[index],
                target=prompts.spans.target[index],
            ),
        )
        features = replace(
            self.network.extractor(own),
            inputs=QueryInputs(
                lambda row: pictures.get(row, _UNSEEN).picture,
                rows,
                questions.__getitem__ if any(questions) else None,
                identity=lambda row: pictures.get(row, _UNSEEN).identity,
            ),
        )
        return _patiently(
            lambda: with_undamaged(
                pool,
                lambda some: (
                    choose_experts(self.network.router, features, some)
                    if some.eligible.any()
                    else None
                ),
            )
        )

    def _pool(self, asked: Sequence[Asked], revision: int | None) -> Pool:
        return _patiently(
            lambda: self.store.pool(namespaces=[one.namespace for one in asked], revision=revision)
        )


def _own(routed: RoutedExperts, row: int) -> RoutedPrompt | None:
    used = routed.weights[row] != 0
    if not used.any():
        return None
    return RoutedPrompt(
        u=routed.experts.u[row, used],
        v=routed.experts.v[row, used],
        weights=routed.weights[row, used],
    )


def _patiently(call: Callable[[], T]) -> T:
    """What a call gives, tried again while the store is away: an answer without edits is worse.

    Raises:
        StoreUnreachable, StoreBusy: It was away for too long.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return call()
        except (StoreUnreachable, StoreBusy) as error:
            if time.monotonic() > until:
                raise
            _log.warning("%s; trying again", error)
            time.sleep(_PAUSE)
