"""Settings of the editor: frozen, and strict about unknown keys."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Base of all settings: immutable, keyword-only, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class EditorConfig(Config):
    """Architecture of the trained part; the names in the paper are in brackets.

    Args:
        width: Width of the modules (d_m).
        vectors: Vectors a routing feature is made of (k).
        heads: Attention heads.
        rank: Slots of an expert (r).
        sentinel_tokens: States the vision sentinel consists of (N_v).
        dropout: Dropout on the states the feature extractor reads, in training only.
    """

    width: int = 384
    vectors: int = 4
    heads: int = 8
    rank: int = 8
    sentinel_tokens: int = 16
    dropout: float = 0.1
