"""Routing: which experts concern a query, and how much.

A hard filter compares what the pictures show, prompt-guided, against a learned threshold (the
vision sentinel); a soft router weighs the survivors by what the questions ask. LiveEdit, section
on routing: ``E = {e : phi . phi_e > phi . phi_Theta}``,
``w_e = sigmoid(psi . psi_e) softmax_E(psi . psi_e)``. Ours differs by switches of ``Router``, and
has a hard filter for text-only queries, too: on the subject they are about.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from liveedit.methods.liveedit.context import context_gain
from liveedit.methods.liveedit.features import EditFeatures, RoutingFeatures, Similarities
from liveedit.methods.route import Route


class Router(nn.Module):
    """Similarities on learned scales, and the rule that turns them into a route.

    Text-only queries are routed to text-only edits, by the questions alone (the *text router*);
    queries with a picture to edits with a picture. The text router's hard filter is on the subject
    of the questions, with a threshold of its own.

    The hard filter's threshold is ``phi . phi_Theta + margin + crowding * ln n`` with n edits that
    may be chosen: the more there are, the likelier one is like the picture by chance.

    Args:
        learned: Whether the scales are learned; if not, similarities are plain dot products.
        hard: Whether the hard filter is on; without it every eligible expert passes.
        soft: Whether the soft weights are on; without them every expert that passes weighs 1.
        ask: Whether an expert must also pass by what is asked: ``sigmoid > 1/2``.
        joint: Whether experts that pass share the weight by picture and question, instead of by
            question alone.
        text: Whether the text router is on; without it nothing is routed without a picture.
        subject: Whether the text router has a hard filter.
        pixels: Whether the very picture of an edit passes the hard filter by its pixels.
        context: By how much more experts are added for every doubling of a long prompt.
    """

    margin: Tensor
    crowding: Tensor
    prompt_margin: Tensor
    text_margin: Tensor
    subject_margin: Tensor
    picture_margin: Tensor

    def __init__(
        self,
        *,
        learned: bool = True,
        hard: bool = True,
        soft: bool = True,
        ask: bool = True,
        joint: bool = True,
        text: bool = True,
        subject: bool = True,
        pixels: bool = True,
        context: float = 0.0,
    ) -> None:
        super().__init__()
        self.hard, self.soft, self.ask, self.joint, self.text = hard, soft, ask, joint, text
        self.subject, self.pixels, self.context = subject, pixels, context

        def scale(value: float, otherwise: float) -> nn.Parameter:
            return nn.Parameter(torch.tensor(value if learned else otherwise), learned)

        self.vision_scale = scale(10.0, 1.0)
        self.prompt_scale, self.prompt_bias = scale(10.0, 1.0), scale(-5.0, 0.0)
        self.text_scale, self.text_bias = scale(10.0, 1.0), scale(-5.0, 0.0)
        if subject:
            self.subject_scale, self.subject_bias = scale(10.0, 1.0), scale(-5.0, 0.0)
        self.register_buffer("subject_margin", torch.tensor(0.0), persistent=subject)
        never = 0.0 if pixels else torch.inf
        self.register_buffer("picture_margin", torch.tensor(never), persistent=pixels)
        for name in ("margin", "crowding", "prompt_margin", "text_margin"):
            self.register_buffer(name, torch.tensor(0.0))

    def similarities(self, queries: RoutingFeatures, edits: EditFeatures) -> Similarities:
        """Compare queries (input side) with edits (edit side), as a few matrix products."""
        pictured = queries.sees[:, None]
        cosine = queries.prompt @ edits.prompt.T
        asked = torch.where(
            pictured,
            self.prompt_scale * cosine + self.prompt_bias,
            self.text_scale * cosine + self.text_bias,
        )
        cosine = queries.vision @ edits.vision.T
        seen = self.vision_scale * cosine
        if self.subject:
            seen = torch.where(pictured, seen, self.subject_scale * cosine + self.subject_bias)
        sentinel = (queries.vision * queries.sentinel).sum(1, keepdim=True)
        return Similarities(
            vision=seen,
            sentinel=torch.where(pictured, self.vision_scale * sentinel, 0.0),
            prompt=asked,
            pictured=pictured,
            sees=queries.sees[:, None] & edits.sees,
            alike=queries.sees[:, None] == edits.sees,
            gain=None if queries.length is None else self.gain(queries.length)[:, None],
        )

    def gain(self, length: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
        """How many times as strongly experts are added after prompts of so many tokens."""
        return context_gain(length, self.context)

    def route(
        self,
        queries: RoutingFeatures,
        edits: EditFeatures,
        eligible: Bool[Tensor, "#batch experts"],
        crowd: Int[Tensor, "batch 1"] | None = None,
    ) -> Route:
        """Filter and weigh the experts for every query.

        Args:
            queries: Input-side features.
            edits: Edit-side features of the experts.
            eligible: Experts that may be chosen at all, for each query or for all.
            crowd: How many might have been chosen, where these are only the nearest of them.
        """
        return self.decide(self.similarities(queries, edits), eligible, crowd)

    def threshold(
        self, alike: Similarities, crowd: Int[Tensor, "batch 1"]
    ) -> Float[Tensor, "batch 1"]:
        """What the similarity of pictures must exceed, without a picture that of subjects."""
        threshold = alike.sentinel + self.margin + self.crowding * crowd.clamp(min=1).log()
        if self.subject:
            threshold = torch.where(alike.pictured, threshold, self.subject_margin)
        return threshold

    def decide(
        self,
        alike: Similarities,
        eligible: Bool[Tensor, "#batch experts"],
        crowd: Int[Tensor, "batch 1"] | None = None,
        same_picture: Bool[Tensor, "batch experts"] | None = None,
    ) -> Route:
        """Filter and weigh by similarities that are known already.

        Args:
            alike: The similarities.
            eligible: See :meth:`route`.
            crowd: See :meth:`route`.
            same_picture: Pairs that pass whatever is seen, if they ask the same.
        """
        allowed = eligible & (alike.alike if self.text else alike.sees)
        if crowd is None:
            crowd = allowed.sum(1, keepdim=True)
        threshold = self.threshold(alike, crowd)
        compared = alike.alike if self.subject else alike.sees
        asked = alike.prompt - torch.where(alike.sees, self.prompt_margin, self.text_margin)
        passes = allowed
        if self.hard:
            seen = (alike.vision > threshold) | ~compared
            passes = passes & (seen if same_picture is None else seen | same_picture)
        if self.ask:
            passes = passes & (asked > 0)
        elif self.text:  # without a picture there is nothing but the question to go by
            passes = passes & ((asked > 0) | alike.sees)
        score = asked + torch.where(compared, alike.vision, 0.0) if self.joint else asked
        relative = torch.softmax(score.masked_fill(~passes, -torch.inf), dim=1)
        weight = asked.sigmoid() * relative.nan_to_num() if self.soft else torch.ones_like(asked)
        weights = torch.where(passes, weight if alike.gain is None else weight * alike.gain, 0.0)
        return Route(
            vision=alike.vision, threshold=threshold, prompt=asked, passes=passes, weights=weights
        )
