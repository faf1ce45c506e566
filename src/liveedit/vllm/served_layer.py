"""The edit layer of a served model: routes the prompts of a step, and adds experts to its tokens.

All tokens of a step lie in one tensor, those of each request behind those of the one before. A
request is routed once, with the step that holds its prompt; what it is routed to is added to all
tokens of the prompt and to every token that is decoded after it, also when they are computed anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from liveedit.backbones.spans import find_spans
from liveedit.errors import UnsupportedGeneration
from liveedit.methods.liveedit.representation import Representation, standardise
from liveedit.vllm import operators  # noqa: F401  registers the operators
from liveedit.vllm.asked import PICTURES, QUESTION, Asked, pinned
from liveedit.vllm.expert_buffers import FREE, ExpertBuffers
from liveedit.vllm.pictures import SentPictures, received
from liveedit.vllm.prompt_router import PromptRouter

_SLOTS = 64  # at first


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A request that is computed for the first time.

    Args:
        request: Its name.
        prompt: Ids of its prompt; None if it has none.
        fields: Its ``extra_args``.
    """

    request: str
    prompt: Sequence[int] | None
    fields: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Step:
    """The tokens of one pass.

    Args:
        requests: Names, in the order of their tokens.
        starts: Position of the first token of each in its own text.
        counts: How many tokens of each.
    """

    requests: Sequence[str]
    starts: Int[np.ndarray, " requests"]
    counts: Int[np.ndarray, " requests"]


@dataclass(kw_only=True)
class _Served:
    """What is known of a request that asks for edits.

    Args:
        asked: Which.
        prompt: Its ids.
        pictures: Those that it is about.
        question: Its words, if they are compared.
        number: By which its experts are known; `FREE` if no edit concerns it, or none yet.
        share: What decoded tokens get of what is added.
        routed: Whether that is known.
    """

    asked: Asked
    prompt: Sequence[int]
    pictures: SentPictures | None
    question: str | None
    number: int = FREE
    share: float = 1.0
    routed: bool = False


class ServedLayer:
    """What happens at the edit layer of one worker.

    Args:
        router: Routes prompts.
        image_token: Id of the placeholder of an image token.
        device: Where the layer computes.
    """

    def __init__(self, router: PromptRouter, image_token: int, device: torch.device) -> None:
        self.router, self.image_token, self.device = router, image_token, device
        network = router.network
        self.scale = network.scale
        self.buffers = ExpertBuffers(network.state_width, _SLOTS, device)
        self._served: dict[str, _Served] = {}
        self._numbers: list[int] = []  # that were used, and are free
        self._unused = count()
        self._step: Step | None = None
        self._order: Sequence[str] = ()
        self._of_order: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def begin(self, step: Step, arrivals: Iterable[Arrival]) -> None:
        """Before a pass: which tokens it computes.

        Args:
            step: What is computed.
            arrivals: The requests of it that are new.

        Raises:
            UnsupportedGeneration: The prompt of one that asks for edits is not computed whole.
        """
        for one in arrivals:
            asked = pinned(one.fields)
            if asked is not None and one.prompt is not None:
                sent = one.fields.get(PICTURES)
                self._served[one.request] = _Served(
                    asked=asked,
                    prompt=one.prompt,
                    pictures=None if sent is None else received(sent),
                    question=one.fields.get(QUESTION),
                )
        self._step = step
        if self._order != step.requests:
            self._order, self._of_order = list(step.requests), None

    def finish(self, requests: Iterable[str]) -> None:
        """Forget requests that are answered, or that nobody waits for any more."""
        for name in requests:
            served = self._served.pop(name, None)
            if served is not None and served.number != FREE:
                self.buffers.drop(served.number)
                self._numbers.append(served.number)
            if served is not None:
                self._of_order = None

    @torch.no_grad()
    def change(
        self, hidden: Float[Tensor, "tokens width"], residual: Float[Tensor, "tokens width"] | None
    ) -> None:
        """Route what is new, and add experts to all tokens that they concern, in place."""
        step, self._step = self._step, None
        if step is None:  # a pass that warms up: there are no requests
            return
        self._route(step, hidden, residual)
        owners, lengths, shares = self._arrays()
        if not (owners != FREE).any():
            return
        owner = np.repeat(owners, step.counts)
        tokens = np.flatnonzero(owner != FREE)
        first = np.cumsum(step.counts) - step.counts
        position = np.arange(len(owner)) + np.repeat(step.starts - first, step.counts)
        decoded = position >= np.repeat(lengths, step.counts)
        share = np.where(decoded, np.repeat(shares, step.counts), np.float32(1))
        buffers, used = self.buffers, self.buffers.used
        torch.ops.liveedit.add_experts(
            hidden,
            residual,
            self._tensor(tokens),
            self._tensor(owner[tokens]),
            self._tensor(share[tokens].astype(np.float32)),
            self.scale.mean,
            self.scale.deviation,
            buffers.u[:used],
            buffers.v[:used],
            buffers.weights[:used],
            buffers.owner[:used],
        )

    def _route(self, step: Step, hidden: Tensor, residual: Tensor | None) -> None:
        """Route the requests of a step that have not been."""
        new = [
            (row, self._served[name])
            for row, name in enumerate(step.requests)
            if name in self._served and not self._served[name].routed
        ]
        if not new:
            return
        ends = np.cumsum(step.counts)
        states, prompts = [], []
        for row, served in new:
            length = len(served.prompt)
            if step.starts[row] != 0 or step.counts[row] < length:
                raise UnsupportedGeneration(
                    "the prompt of a request with edits must be computed whole, and vLLM computed "
                    f"{step.counts[row]} of its {length} tokens from {step.starts[row]} on; start "
                    "vLLM without chunked prefill and without a connector that loads states"
                )
            start = int(ends[row] - step.counts[row])
            part = hidden[start : start + length]
            whole = part if residual is None else part + residual[start : start + length]
            states.append(standardise(whole, self.scale))
            prompts.append(torch.tensor(list(served.prompt), device=self.device))
        mask = pad_sequence([torch.ones_like(one) for one in prompts], batch_first=True)
        spans = find_spans(pad_sequence(prompts, batch_first=True), mask, self.image_token)
        routes = self.router.route(
            Representation(states=pad_sequence(states, batch_first=True), spans=spans),
            [served.asked for _, served in new],
            {
                index: served.pictures
                for index, (_, served) in enumerate(new)
                if served.pictures is not None
            },
            [served.question for _, served in new],
        )
        lengths = spans.prompt.sum(1).tolist()
        for (_, served), route, length in zip(new, routes, lengths, strict=True):
            served.routed = True
            if route is not None:
                served.number = self._numbers.pop() if self._numbers else next(self._unused)
                served.share = self.router.answer_share(length)
                self.buffers.put(served.number, route.u, route.v, route.weights)
        self._of_order = None

    def _arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each request of the step: number of its experts, length of its prompt, share."""
        if self._of_order is None:
            known = [self._served.get(name) for name in self._order]
            self._of_order = (
                np.array([FREE if one is None else one.number for one in known]),
                np.array([0 if one is None else len(one.prompt) for one in known]),
                np.array([1.0 if one is None else one.share for one in known], np.float32),
            )
        return self._of_order

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device, non_blocking=True)
