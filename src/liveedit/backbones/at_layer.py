"""One model at several edit layers."""

from __future__ import annotations

from typing import TypeVar

from liveedit.backbones.base import Backbone

B = TypeVar("B", bound=Backbone)


def at_layer(backbone: B, edit_layer: int) -> B:
    """The same model, read and edited at a layer; the backbone that is given stays as it is.

    Args:
        backbone: The model.
        edit_layer: Index of a decoder layer.

    Raises:
        ValueError: There is no such layer, or the family cannot edit it.
    """
    if edit_layer == backbone.edit_layer:
        return backbone
    return type(backbone)(
        backbone.model,
        backbone.processor,
        edit_layer=edit_layer,
        name=backbone.name,
        source=backbone.source,
        editors=backbone.editors,
        revision=backbone.revision,
        adapter=backbone.adapter,
    )
