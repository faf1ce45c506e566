"""What a model looks like to an editing method, found out without reading its weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from liveedit.backbones.inspection import (
    TokenRun,
    drawing,
    problems_of,
    sample,
    told_adapter,
    told_weights,
)
from liveedit.backbones.registry import load_backbone
from liveedit.editor.pretrained import at_editors_layer
from liveedit.errors import LiveEditError
from liveedit.methods.registry import method_class

LONG = 100  # tokens of a long answer
_SHORT = 2  # tokens of a short one: a word and the end


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """What was found.

    Args:
        model: What was asked for.
        family: Its family.
        layers: Number of decoder layers.
        edit_layer: The one that is edited.
        width: Of its states.
        parameters: Of the whole model.
        weights: What they are in, and how they are quantised.
        adapter: Of PEFT, in a few words; None if the model is none.
        runs: A sample prompt with a picture and its target.
        bytes_per_edit: What the tensors of an edit take whose target is one word; None if the
            method does not say.
        bytes_per_long_edit: The same for a target of `LONG` tokens.
        problems: What keeps the model from being edited; a sentence each.
        missing: What else is missing, or makes a difference; a sentence each.
    """

    model: str
    family: str
    layers: int
    edit_layer: int
    width: int
    parameters: int
    weights: str
    adapter: str | None
    runs: tuple[TokenRun, ...]
    bytes_per_edit: int | None
    bytes_per_long_edit: int | None
    problems: tuple[str, ...]
    missing: tuple[str, ...]


def inspect_model(
    model: str | Path,
    *,
    image: Image.Image | None = None,
    method: str = "liveedit",
    editor: Path | None = None,
    edit_layer: int | None = None,
) -> Inspection:
    """Look at a model; nothing of it is run.

    Args:
        model: See :func:`liveedit.backbones.registry.load_backbone`.
        image: Of the sample prompt.
        method: Name of the editing method.
        editor: Folder of what the method needs for the model; what it ships by default.
        edit_layer: By default that of the editor, or the family's own choice.

    Raises:
        BadCheckpoint: There is no such model, or its processor cannot be loaded.
        UnknownFamily: It is of no supported family.
        UnknownMethod: There is no such method.
    """
    backbone = load_backbone(model, weights=False, edit_layer=edit_layer)
    if editor is not None and edit_layer is None:
        backbone = at_editors_layer(backbone, editor)
    problems = problems_of(model, backbone)
    missing: list[str] = []
    runs: tuple[TokenRun, ...] = ()
    try:
        runs = sample(backbone, image or drawing())
    except LiveEditError as error:
        problems.append(f"{error}.")
    chosen = method_class(method)
    layout = chosen.default_layout(backbone)
    try:
        loaded = chosen.load(backbone, editor)
        layout = loaded.layout
        missing += loaded.notes
    except LiveEditError as error:
        missing.append(f"What {method} needs: {error}.")
    if backbone.revision is None:
        missing.append("Weights: the folder holds no *.safetensors file.")
    if backbone.image_backend == "pil":
        missing.append(
            "torchvision: pictures are resized by PIL, which differs a little; train and use an "
            "editor with the same of the two."
        )
    return Inspection(
        model=str(model),
        family=backbone.family,
        layers=backbone.layers,
        edit_layer=backbone.edit_layer,
        width=backbone.width,
        parameters=sum(one.numel() for one in backbone.model.parameters()),
        weights=told_weights(backbone),
        adapter=told_adapter(model),
        runs=runs,
        bytes_per_edit=None if layout is None else layout.bytes_of(_SHORT),
        bytes_per_long_edit=None if layout is None else layout.bytes_of(LONG),
        problems=tuple(problems),
        missing=tuple(missing),
    )
