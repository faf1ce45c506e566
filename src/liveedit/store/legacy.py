"""Stores and exports from before schema 0004, when every expert had the same number of slots."""

from __future__ import annotations

from liveedit.store.layout import Layout

METHOD = "liveedit"  # the only one before schema 0003


def legacy_layout(*, rank: int, width: int, features: int) -> Layout:
    """The tensors that every edit had before schema 0003.

    Args:
        rank: Slots of an expert.
        width: Width of the backbone's states.
        features: Length of a routing feature.
    """
    return Layout(
        keys={"vision": features, "prompt": features},
        values={"u": (rank, width), "v": (rank, width)},
    )


def any_rank(method: str, layout: Layout) -> Layout:
    """The same layout as this release has it: experts of LiveEdit have slots as they need."""
    if method != METHOD:
        return layout
    values = {name: (None, *shape[1:]) for name, shape in layout.values.items()}
    return Layout(keys=layout.keys, values=values)
