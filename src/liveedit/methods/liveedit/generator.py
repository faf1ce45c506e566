"""The expert generator: one forward pass from a correction's states to a low-rank expert.

``(U_e, V_e) = (CA_U(U, h), CA_V(V, h))`` with learned U, V and ``h = h_v + h_p + h_o`` (LiveEdit).
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from liveedit.methods.liveedit.attention import CrossAttention
from liveedit.methods.liveedit.experts import Experts
from liveedit.methods.liveedit.representation import Representation

_DAMPING = 0.04  # of the least squares below, relative to the states' own size


class ExpertGenerator(nn.Module):
    """f_eg, with one slot for each token of the target, its end included.

    Slot i of U starts out as the state that precedes the target's i-th token, slot i of V as that
    token's output embedding: the expert is a small memory from "about to say token i" to "token i".
    Attention, with a learned bias between slots and roles, learns what to add to that in the first
    ``rank`` slots; those behind them are the memory alone.

    Args:
        state_width: Width of the backbone's states.
        width: d_m, width of the module.
        rank: Slots that attention adds to.
        heads: Attention heads.
    """

    _ALIGNED = 6.0

    def __init__(self, *, state_width: int, width: int, rank: int, heads: int) -> None:
        super().__init__()
        self.rank = rank
        self.lexical = nn.Linear(state_width, state_width, bias=False)
        self.u_slots = nn.Parameter(torch.randn(rank, width))
        self.v_slots = nn.Parameter(torch.randn(rank, width))
        self.u_attention = CrossAttention(width, state_width, width, state_width, heads)
        self.v_attention = CrossAttention(width, state_width, width, state_width, heads)
        # roles: vision, prompt, before token i, token i
        aligned = self._ALIGNED * torch.eye(rank)
        nothing = torch.zeros(rank, rank)
        self.u_bias = nn.Parameter(torch.cat([torch.zeros(rank, 2), aligned, nothing], 1))
        self.v_bias = nn.Parameter(torch.cat([torch.zeros(rank, 2), nothing, aligned], 1))
        self.u_gain = nn.Parameter(torch.ones(rank))
        self.v_gain = nn.Parameter(torch.ones(rank))
        nn.init.zeros_(self.lexical.weight)
        for attention in (self.u_attention, self.v_attention):
            nn.init.normal_(attention.output.weight, std=1e-3)
            nn.init.zeros_(attention.output.bias)

    def forward(self, representation: Representation) -> Experts:
        """Generate one expert for each row.

        Args:
            representation: States of image, prompt and target, with the target's embeddings.

        Returns:
            Experts of at least ``rank`` slots, zero behind those of the target.
        """
        assert representation.lexical is not None
        states, spans = representation.states, representation.spans
        order, before = target_order(spans.target)
        roles = self._roles(spans.vision, spans.prompt, order, before)
        context = states + self.lexical(representation.lexical)
        mask = spans.vision | spans.prompt | spans.target
        rows = len(states)
        u_bias, v_bias = (
            torch.einsum("sr,blr->bsl", bias, roles) for bias in (self.u_bias, self.v_bias)
        )
        u = self.u_attention(self.u_slots.expand(rows, -1, -1), context, mask, u_bias)
        v = self.v_attention(self.v_slots.expand(rows, -1, -1), context, mask, v_bias)
        slots = max(self.rank, int(order.max()) + 1)
        more = slots - self.rank
        key = _gather(states, before, slots)
        word = _gather(representation.lexical, order, slots)
        filled = order.amax(1)[:, None] >= torch.arange(slots, device=states.device)
        u_gain, v_gain = (F.pad(gain, (0, more), value=1.0) for gain in (self.u_gain, self.v_gain))
        u, v = (F.pad(added, (0, 0, 0, more)) for added in (u, v))
        return Experts(
            u=(u_gain[:, None] * key + u) * filled[..., None],
            v=(v_gain[:, None] * word + v) * filled[..., None],
        )

    def slots_of(self, tokens: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """How many slots an expert needs for targets of so many tokens."""
        return tokens

    def _roles(
        self, vision: Tensor, prompt: Tensor, order: Tensor, before: Tensor
    ) -> Float[Tensor, "batch length roles"]:
        spans = torch.stack([vision, prompt], -1).float()
        return torch.cat([spans, _one_hot(before, self.rank), _one_hot(order, self.rank)], -1)


class TargetMemory(nn.Module):
    """f_eg without training: the memory of :class:`ExpertGenerator`, and nothing added to it.

    What it misses is for refinement to mend, so no slot counts as one that was trained.
    """

    rank = 0
    gain: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("gain", torch.tensor(1.0))

    def forward(self, representation: Representation) -> Experts:
        """Generate one expert for each row, with as many slots as the longest target has tokens."""
        assert representation.lexical is not None
        order, before = target_order(representation.spans.target)
        slots = int(order.max()) + 1
        return Experts(
            u=_gather(representation.states, before, slots),
            v=self.gain * _gather(representation.lexical, order, slots),
        )

    def slots_of(self, tokens: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """How many slots an expert needs for targets of so many tokens."""
        return tokens


class PlainGenerator(nn.Module):
    """f_eg as published: learned queries alone, without a link between slots and tokens.

    U and V are layer-normalised, as in the authors' code.

    Args:
        state_width: Width of the backbone's states.
        width: d_m, width of the module.
        rank: r, slots of an expert, whatever its target.
        heads: Attention heads.
    """

    _V_GAIN = 3.0  # root mean square of V at first, in the backbone's units

    def __init__(self, *, state_width: int, width: int, rank: int, heads: int) -> None:
        super().__init__()
        self.rank = rank
        self.u_slots = nn.Parameter(torch.randn(rank, width))
        self.v_slots = nn.Parameter(torch.randn(rank, width))
        self.u_attention = CrossAttention(width, state_width, width, state_width, heads)
        self.v_attention = CrossAttention(width, state_width, width, state_width, heads)
        self.u_norm, self.v_norm = nn.LayerNorm(state_width), nn.LayerNorm(state_width)
        nn.init.constant_(self.v_norm.weight, self._V_GAIN)

    def forward(self, representation: Representation) -> Experts:
        """Generate one expert for each row, from the states of image, prompt and target."""
        states, spans = representation.states, representation.spans
        mask = spans.vision | spans.prompt | spans.target
        slots = [some.expand(len(states), -1, -1) for some in (self.u_slots, self.v_slots)]
        return Experts(
            u=self.u_norm(self.u_attention(slots[0], states, mask)),
            v=self.v_norm(self.v_attention(slots[1], states, mask)),
        )

    def slots_of(self, tokens: Int[Tensor, " batch"]) -> Int[Tensor, " batch"]:
        """How many slots an expert has, whatever its target."""
        return torch.full_like(tokens, self.rank)

    @torch.no_grad()
    def begin(
        self,
        before: Float[Tensor, "tokens width"],
        states: Float[Tensor, "tokens width"],
        embeddings: Float[Tensor, "tokens width"],
    ) -> None:
        """Start from what an attention head that looks at a target's token should carry over.

        V's values begin as the least-squares map from a token's state to its output embedding,
        those of U as the principal directions of the states in which a token is about to be said;
        where to look is left to training.

        Args:
            before: Standardised states that precede the tokens of many targets.
            states: Their own standardised states.
            embeddings: Their output embeddings.
        """
        rank = self.v_attention.value.out_features
        gram = states.T @ states
        gram.diagonal().add_(_DAMPING * gram.diagonal().mean())
        left, sizes, right = torch.linalg.svd(torch.linalg.solve(gram, states.T @ embeddings))
        root = sizes[:rank].sqrt()
        _carry(self.v_attention, (left[:, :rank] * root).T, right[:rank].T * root)
        directions = torch.linalg.svd(before - before.mean(0), full_matrices=False)[2][:rank]
        _carry(self.u_attention, directions, directions.T)


def _carry(attention: CrossAttention, value: Tensor, output: Tensor) -> None:
    """Set what attention makes of the states it looks at, over all heads."""
    for linear, weight in ((attention.value, value), (attention.output, output)):
        linear.weight.zero_()
        linear.weight[: weight.shape[0], : weight.shape[1]] = weight
        linear.bias.zero_()


def target_order(
    target: Bool[Tensor, "batch length"],
) -> tuple[Int[Tensor, "batch length"], Int[Tensor, "batch length"]]:
    """Index of each target token within its target, and of the token each position precedes.

    Both are -1 where there is none.
    """
    order = torch.where(target, target.long().cumsum(1) - 1, -1)
    before = F.pad(order[:, 1:], (0, 1), value=-1)
    return order, before


def _gather(
    values: Float[Tensor, "batch length width"], order: Int[Tensor, "batch length"], rank: int
) -> Float[Tensor, "batch rank width"]:
    """The values at the positions numbered 0 .. rank-1, zero where there is none."""
    return _one_hot(order, rank).transpose(1, 2) @ values


def _one_hot(order: Int[Tensor, "batch length"], rank: int) -> Float[Tensor, "batch length rank"]:
    """One-hot of indices below rank; negative and larger ones are all zero."""
    return (order[..., None] == torch.arange(rank, device=order.device)).float()
