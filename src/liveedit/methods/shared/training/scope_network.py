"""A learned scope: how probable it is that a question is about the same as a correction.

Pictures and questions are projected and compared by cosines; each has a slope and a threshold. Both
must be alike: probabilities are multiplied. Without pictures the questions alone decide.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from liveedit.methods.shared.sentence_encoder import SENTENCE_WIDTH
from liveedit.methods.shared.training.example_features import EDIT, UNCONCERNED, ExampleFeatures
from liveedit.store.tensors import Keys

_SLOPE, _THRESHOLD = 12.0, 0.5  # that training starts with


class ScopeNetwork(nn.Module):
    """Projections of pictures and questions, slopes and thresholds.

    Args:
        vision: Width of a picture's feature.
        key: Width of the keys.
    """

    centre: Tensor

    def __init__(self, vision: int, key: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(vision))
        self.vision = nn.Linear(vision, key, bias=False)
        self.prompt = nn.Linear(SENTENCE_WIDTH, key, bias=False)
        # of pictures, of questions about pictures, of questions without one
        self.slope = nn.Parameter(torch.full((3,), _SLOPE).log())
        self.threshold = nn.Parameter(torch.full((3,), _THRESHOLD))

    def keys(
        self,
        vision: Float[Tensor, "rows width"],
        prompt: Float[Tensor, "rows sentence"],
        sees: Bool[Tensor, " rows"],
    ) -> Keys:
        """Keys of unit length; that of a picture is zero where there is none."""
        seen = F.normalize(self.vision(vision - self.centre), dim=1) * sees[:, None]
        asked = F.normalize(self.prompt(prompt), dim=1)
        return Keys(vectors={"vision": seen, "prompt": asked}, sees=sees)

    def logits(
        self, queries: Keys, edits: Keys
    ) -> tuple[Float[Tensor, "queries edits"], Float[Tensor, "queries edits"]]:
        """How alike pictures and questions are, above zero where they count as the same."""
        vision, prompt = (
            queries.vectors[name] @ edits.vectors[name].T for name in ("vision", "prompt")
        )
        slope, threshold = self.slope.exp(), self.threshold
        sees = queries.sees[:, None]
        asked = torch.where(
            sees, slope[1] * (prompt - threshold[1]), slope[2] * (prompt - threshold[2])
        )
        return slope[0] * (vision - threshold[0]), asked

    def log_scope(self, queries: Keys, edits: Keys) -> Float[Tensor, "queries edits"]:
        """Logarithm of the probability that a query is in an edit's scope."""
        vision, prompt = self.logits(queries, edits)
        sees = queries.sees[:, None]
        both = torch.where(sees, F.logsigmoid(vision), 0.0) + F.logsigmoid(prompt)
        return torch.where(sees == edits.sees, both, -torch.inf)


def scope_loss(network: ScopeNetwork, batch: ExampleFeatures) -> Float[Tensor, ""]:
    """Binary cross-entropy of all pairs of questions and edits of a batch.

    Pairs in scope, questions close by that are not, and all other pairs count a third each.
    """
    keys = network.keys(batch.vision, batch.prompt, batch.sees)
    own = batch.role == EDIT
    edits = Keys(
        vectors={name: one[own] for name, one in keys.vectors.items()}, sees=keys.sees[own]
    )
    log_scope = network.log_scope(keys, edits)
    there = log_scope.isfinite()
    log_scope = torch.where(there, log_scope, -1.0).clamp(max=-1e-6)
    mine = batch.owner[:, None] == batch.owner[own]
    close = mine & (batch.role == UNCONCERNED)[:, None]
    inside = mine & ~close
    out = -torch.log1p(-log_scope.exp())
    losses = [
        values[which & there].mean()
        for values, which in ((-log_scope, inside), (out, close), (out, ~mine))
        if (which & there).any()
    ]
    return torch.stack(losses).mean()
