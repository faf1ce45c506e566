"""Stores and exports from before schema 0003, when LiveEdit was the only method."""

from __future__ import annotations

from liveedit.store.layout import Layout

METHOD = "liveedit"


def legacy_layout(*, rank: int, width: int, features: int) -> Layout:
    """The tensors that every edit had then.

    Args:
        rank: Slots of an expert.
        width: Width of the backbone's states.
        features: Length of a routing feature.
    """
    return Layout(
        keys={"vision": features, "prompt": features},
        values={"u": (rank, width), "v": (rank, width)},
    )
