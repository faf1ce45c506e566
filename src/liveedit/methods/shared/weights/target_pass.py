"""Passes of corrections and their targets, from the layers that an edit changes upwards alone."""

from __future__ import annotations

from contextlib import suppress

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from liveedit.backbones.base import Backbone
from liveedit.backbones.kept_logits import kept_logits
from liveedit.backbones.layer_hook import StopForward
from liveedit.backbones.query import Query
from liveedit.methods.shared.weights.weight_change import Changes, in_rows


class TargetPass:
    """A batch of questions with targets; the layers below the lowest that is changed run once.

    Args:
        backbone: The model.
        query: Questions with targets.
        lowest: Index of the lowest decoder layer that is changed.
        keep: Positions whose logits are wanted; those that predict the targets by default.
    """

    def __init__(
        self,
        backbone: Backbone,
        query: Query,
        lowest: int,
        keep: Bool[Tensor, "batch length"] | None = None,
    ) -> None:
        self.backbone, self.query = backbone, query
        self.keep: Bool[Tensor, "batch length"] = query.spans.predicts if keep is None else keep
        following = query.input_ids.roll(-1, 1).to(self.keep.device)
        self.labels: Int[Tensor, " kept"] = following[self.keep]
        self._below = lowest - 1
        self._states = states_at(backbone, query, self._below) if self._resumes else None

    @property
    def _resumes(self) -> bool:
        """Whether a pass can begin in the middle: families may feed pictures to low layers."""
        return self._below >= getattr(self.backbone, "deep", 0)

    def logits(self, changes: Changes) -> Float[Tensor, "kept vocabulary"]:
        """Logits at the positions that are kept, with some modules changed."""
        rows = range(len(self.query.input_ids))
        hooked = in_rows([(rows, changes)], len(rows))
        with self.backbone.module_hooks.changing(hooked):
            if self._states is None:
                return kept_logits(self.backbone, self.query, self.keep)
            return self.backbone.finish(
                self._states,
                self.query.attention_mask,
                self.keep,
                self.query.per_token,
                layer=self._below,
            )

    def loss(self, changes: Changes) -> Float[Tensor, ""]:
        """Cross entropy of the target's tokens, its end among them; no other token counts."""
        logits = self.logits(changes)
        return F.cross_entropy(logits.float(), self.labels.to(logits.device))

    @torch.no_grad()
    def right(self, changes: Changes) -> list[bool]:
        """Whether every token of each row's target is the likeliest behind those before it."""
        logits = self.logits(changes)
        wrong = (logits.argmax(-1) != self.labels.to(logits.device)).to(self.keep.device)
        rows = self.keep.nonzero()[:, 0]
        return [not bool(wrong[rows == row].any()) for row in range(len(self.keep))]


@torch.no_grad()
def states_at(backbone: Backbone, query: Query, layer: int) -> Float[Tensor, "batch length width"]:
    """Hidden states that leave a decoder layer; no layer above is run."""
    found: list[Tensor] = []

    def stop(_inputs: Tensor, hidden: Tensor) -> None:
        found.append(hidden)
        raise StopForward

    with suppress(StopForward), backbone.module_hooks.changing({f"layers.{layer}": stop}):
        backbone.logits(query)
    return found[0]
