"""The feed-forward network of one decoder layer, for methods that change what leaves it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from copy import copy
from typing import TypeAlias

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.backbones.layer_hook import StopForward
from liveedit.backbones.linears import linear_path
from liveedit.backbones.module_hooks import ModuleChange
from liveedit.backbones.query import Query
from liveedit.errors import MethodCannot
from liveedit.methods.shared.feed_forward.passes import answering

# from what enters the network and what leaves it, both (rows, tokens, width), to what is passed on
FeedForwardChange: TypeAlias = Callable[[Tensor, Tensor], Tensor | None]


class FeedForward:
    """It, and how to change it for one call.

    Args:
        backbone: The model.
        layer: Index of the decoder layer.
        method: Whose name errors give.

    Raises:
        MethodCannot: There is no such layer, or its network is not a plain one.
    """

    def __init__(self, backbone: Backbone, layer: int, *, method: str) -> None:
        if not 0 <= layer < backbone.layers:
            raise MethodCannot(
                method,
                f"edit layer {layer} of {backbone.name}",
                instead=f"give one of 0 to {backbone.layers - 1}",
            )
        up, down, attention = (
            linear_path(backbone, layer, role) for role in ("up", "down", "query")
        )
        if up is None or down is None or attention is None:
            raise MethodCannot(
                method,
                f"edit layer {layer} of {backbone.name}, whose feed-forward network is not plain",
                instead="give a layer with one, or take a method that edits hidden states",
            )
        self.backbone, self.layer = backbone, layer
        self._up, self._down, self._attention = up, down, attention

    @contextmanager
    def changing(self, change: FeedForwardChange) -> Iterator[None]:
        """Within this context, in this thread or task, what leaves the network is changed.

        Args:
            change: Is given what enters and leaves the network; None leaves it as it is.
        """
        entered: list[Tensor] = []
        shape: list[tuple[int, ...]] = []

        def attended(inputs: Tensor, _output: Tensor) -> None:
            shape[:] = [tuple(inputs.shape[:2])]  # some families flatten rows and tokens behind it

        def enter(inputs: Tensor, _output: Tensor) -> None:
            entered[:] = [inputs.unflatten(0, shape[0]) if inputs.ndim == 2 else inputs]

        def leave(_inputs: Tensor, output: Tensor) -> Tensor | None:
            flat = output.ndim == 2
            changed = change(entered[0], output.unflatten(0, shape[0]) if flat else output)
            return changed.flatten(0, 1) if changed is not None and flat else changed

        hooks: Mapping[str, ModuleChange] = {
            self._attention: attended, self._up: enter, self._down: leave
        }  # fmt: skip
        with self.backbone.module_hooks.changing(hooks):
            yield

    @torch.no_grad()
    def entering(self, query: Query) -> Float[Tensor, "batch length width"]:
        """What enters the network of the unedited model; no layer above is run."""
        found: list[Tensor] = []

        def stop(inputs: Tensor, _output: Tensor) -> None:
            found.append(inputs)
            raise StopForward

        with suppress(StopForward), self.changing(stop):
            self.backbone.logits(query)
        return found[0]


class UpperPass:
    """A batch of questions with targets; the layers below the network run once.

    Args:
        network: Where the change is.
        query: The batch.

    Attributes:
        keep: Positions that predict a target token; ``words`` are these tokens, ``rows`` whose.
        where: The last token of each prompt and all behind it.
        at: Which rows of the batch are run, see :meth:`still`.
    """

    def __init__(self, network: FeedForward, query: Query) -> None:
        self.network, self._query = network, query
        self._mask, self._per_token = query.attention_mask, query.per_token
        self.where: Bool[Tensor, "batch length"] = answering(query.spans)
        self.at: Int[Tensor, " batch"] = torch.arange(len(self.where), device=self.where.device)
        self.keep: Bool[Tensor, "batch length"] = query.spans.predicts
        self.words: Int[Tensor, " kept"] = query.input_ids.roll(-1, 1)[
            self.keep.to(query.input_ids.device)
        ]
        self.rows: Int[Tensor, " kept"] = self.keep.nonzero()[:, 0]
        below = network.layer - 1
        # families may feed pictures to the lowest layers: a pass cannot begin there
        self._below = below if below >= getattr(network.backbone, "deep", 0) else None
        self._states = None if self._below is None else self._states_at(self._below)

    def still(self, active: Bool[Tensor, " whole"]) -> UpperPass:
        """The rows that are active, alone, as soon as a quarter of those that are run are not.

        All rows where the model is run whole, with its pictures.

        Args:
            active: Of the whole batch.
        """
        rows = active.to(self.at.device)[self.at].nonzero().flatten()
        if self._states is None or 4 * len(rows) > 3 * len(self.at):
            return self
        some = copy(self)
        some.at, some.where, some.keep = self.at[rows], self.where[rows], self.keep[rows]
        some.words = self.words[torch.isin(self.rows, rows).to(self.words.device)]
        some.rows = some.keep.nonzero()[:, 0]
        some._mask = self._mask[rows.to(self._mask.device)]
        some._per_token = {name: one[rows.to(one.device)] for name, one in self._per_token.items()}
        some._states = self._states[rows.to(self._states.device)]
        return some

    def logits(self, change: FeedForwardChange) -> Float[Tensor, "kept vocabulary"]:
        """Float32 logits at the positions that predict target tokens."""
        backbone = self.network.backbone
        with self.network.changing(change):
            if self._states is None:
                whole = backbone.forward(self._query, use_cache=False).logits
                return whole[self.keep.to(whole.device)].float()
            return backbone.finish(
                self._states, self._mask, self.keep, self._per_token, layer=self._below
            ).float()

    def margins(self, logits: Float[Tensor, "kept vocabulary"]) -> Float[Tensor, " batch"]:
        """By how much each row's wanted tokens exceed all others, at the worst of them."""
        words = self.words[:, None].to(logits.device)
        others = logits.scatter(1, words, -torch.inf).amax(1)
        margins = (logits.gather(1, words)[:, 0] - others).to(self.rows.device)
        worst = torch.full((len(self.keep),), torch.inf, device=margins.device)
        return worst.scatter_reduce(0, self.rows, margins.detach(), "amin")

    @torch.no_grad()
    def _states_at(self, layer: int) -> Float[Tensor, "batch length width"]:
        found: list[Tensor] = []

        def stop(_inputs: Tensor, hidden: Tensor) -> None:
            found.append(hidden)
            raise StopForward

        hooks = {f"layers.{layer}": stop}
        with suppress(StopForward), self.network.backbone.module_hooks.changing(hooks):
            self.network.backbone.logits(self._query)
        return found[0]
