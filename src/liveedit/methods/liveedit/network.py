"""The trained part of the editor: extractor, router, generator, and the backbone's scale."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.extractor import FeatureExtractor
from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.generator import ExpertGenerator, PlainGenerator, TargetMemory
from liveedit.methods.liveedit.representation import Representation, StateScale
from liveedit.methods.liveedit.routing import Router
from liveedit.methods.liveedit.whitened import WhitenedStates


class EditorNetwork(nn.Module):
    """Everything that is learned or calibrated; float32, whatever the backbone computes in.

    Unless told otherwise one extractor serves the edit side and the input side: a query that equals
    a correction then has the correction's own features, and cannot miss it.

    Args:
        config: Architecture.
        state_width: Width of the backbone's hidden states.
    """

    state_mean: Tensor
    state_deviation: Tensor

    def __init__(self, config: EditorConfig, state_width: int) -> None:
        super().__init__()
        self.config = config
        self.state_width = state_width

        def extractor() -> FeatureExtractor | WhitenedStates:
            if config.calibrated:
                return WhitenedStates(state_width=state_width, width=self.features)
            return FeatureExtractor(
                state_width=state_width,
                width=config.width,
                vectors=config.vectors,
                heads=config.heads,
                sentinel_tokens=config.sentinel_tokens,
                dropout=config.dropout,
                prompt_guided=config.prompt_guided,
                unit=config.unit_features,
                subject=config.subject_filter,
            )

        self.extractor = extractor()
        self.edit_extractor = None if config.shared_extractor else extractor()
        self.router = Router(
            learned=config.unit_features,
            hard=config.hard_routing,
            soft=config.soft_routing,
            ask=config.prompt_filter,
            joint=config.joint_relative,
            text=config.text_router,
            subject=config.subject_filter,
            pixels=config.picture_filter,
            context=config.context_gain,
        )
        self.generator = _generator(config, state_width)
        self.register_buffer("state_mean", torch.zeros(state_width))
        self.register_buffer("state_deviation", torch.ones(state_width))

    def edit_features(self, representation: Representation) -> RoutingFeatures:
        """Routing features of corrections: those of the edit side."""
        extractor = self.extractor if self.edit_extractor is None else self.edit_extractor
        return extractor(representation)

    @property
    def features(self) -> int:
        """Length of a routing feature."""
        return self.config.width * self.config.vectors

    @property
    def scale(self) -> StateScale:
        """The backbone's scale at the edit layer."""
        return StateScale(mean=self.state_mean, deviation=self.state_deviation)

    def set_scale(self, scale: StateScale) -> None:
        """Keep the measured scale with the weights."""
        self.state_mean.copy_(scale.mean)
        self.state_deviation.copy_(scale.deviation)


def _generator(
    config: EditorConfig, state_width: int
) -> ExpertGenerator | PlainGenerator | TargetMemory:
    if config.calibrated:
        return TargetMemory()
    kind = ExpertGenerator if config.aligned_slots else PlainGenerator
    return kind(state_width=state_width, width=config.width, rank=config.rank, heads=config.heads)
