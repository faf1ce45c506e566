"""Cross-attention from a few learned queries to a span of states: CA(x, y) of the paper."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

NOWHERE = -1e4  # an attention score with which nothing is looked at, in half precision, too


class CrossAttention(nn.Module):
    """``CA(x, y) = softmax(x W_q (y W_k)^T) y W_v``, with several heads and an output matrix.

    Args:
        query_width: Width of x.
        context_width: Width of y.
        width: Width inside, shared by the heads.
        output_width: Width of the result.
        heads: Number of heads.
    """

    def __init__(
        self, query_width: int, context_width: int, width: int, output_width: int, heads: int
    ) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(query_width, width)
        self.key = nn.Linear(context_width, width)
        self.value = nn.Linear(context_width, width)
        self.output = nn.Linear(width, output_width)

    def forward(
        self,
        queries: Float[Tensor, "batch queries query_width"],
        context: Float[Tensor, "#batch length context_width"],
        mask: Bool[Tensor, "#batch length"],
        bias: Float[Tensor, "batch queries length"] | None = None,
    ) -> Float[Tensor, "batch queries output_width"]:
        """Attend.

        Args:
            queries: x.
            context: y; one for all rows may stand for as many.
            mask: Positions of y that may be looked at; a row without any gives the output's bias.
            bias: Added to the attention scores of every head.
        """
        any_position = mask.any(1)[:, None, None]
        scores_bias = torch.zeros_like(mask, dtype=context.dtype).masked_fill(~mask, NOWHERE)
        scores_bias = scores_bias[:, None, None]
        if bias is not None:
            scores_bias = scores_bias + bias[:, None]
        rows = (len(queries), -1, -1, -1)
        attended = F.scaled_dot_product_attention(
            self._split(self.query(queries)),
            self._split(self.key(context)).expand(rows),
            self._split(self.value(context)).expand(rows),
            attn_mask=scores_bias,
        )
        return self.output(attended.transpose(1, 2).flatten(2) * any_position)

    def _split(self, states: Tensor) -> Tensor:
        return states.unflatten(-1, (self.heads, -1)).transpose(1, 2)
