"""From a transformers model in memory to a backbone: nothing is copied, nothing is changed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from accelerate.utils import extract_model_from_parallel
from transformers import PreTrainedModel

from liveedit.backbones.adapter_folders import check_in_layers
from liveedit.backbones.base import Backbone
from liveedit.backbones.memory_revision import origin, revision_of
from liveedit.backbones.registry import backbone_class, family_of
from liveedit.backbones.sources import source_at
from liveedit.errors import BadCheckpoint
from liveedit.saving.fingerprint import weights_revision

logger = logging.getLogger(__name__)


def wrap_backbone(
    model: Any, processor: Any, *, edit_layer: int | None = None, name: str | None = None
) -> Backbone:
    """A backbone of a model that is in memory already.

    Weights are shared. Until the backbone is closed or goes, the model is in evaluation mode and
    has one more hook, which does nothing in calls that are not the backbone's.

    Args:
        model: Of transformers, of a supported family; or what PEFT, Accelerate or ``torch.compile``
            has put around one. A compiled model is used as it was before.
        processor: The model's own, with tokenizer and image processor.
        edit_layer: Decoder layer that is read and edited; the family's own choice by default.
        name: What to call it; by default where transformers says that it is from.

    Raises:
        BadCheckpoint: It is no model of transformers, its adapter is not in its layers, or the
            processor is not one for pictures.
        UnknownFamily: It is of no supported family.
    """
    inner = _transformers_model(model)
    family = backbone_class(family_of(inner.config))
    _check_processor(processor, inner)
    layers = inner.config.get_text_config().num_hidden_layers
    revision = revision_of(inner)
    folder = origin(inner)
    unchanged = folder is not None and weights_revision(folder) == revision
    source = source_at(folder) if folder is not None and unchanged else None
    given = inner.name_or_path
    known = Path(given).resolve().name if given and Path(given).is_dir() else given
    in_training = inner.training
    backbone = family(
        inner,
        processor,
        edit_layer=family.default_edit_layer(layers) if edit_layer is None else edit_layer,
        name=name or known or f"a {type(inner).__name__} in memory",
        source=str(Path(given).resolve()) if known != given else given,
        editors={} if source is None else source.editors,
        revision=revision,
    )
    if in_training:
        logger.warning(
            "the model was in training mode: it is in evaluation mode until the edited model is "
            "closed"
        )
    return backbone


def _transformers_model(model: Any) -> PreTrainedModel:
    """The model itself, without what was put around it."""
    if isinstance(model, str | Path):
        raise BadCheckpoint(
            f"{model} is a name, not a model in memory; load it with "
            "EditedModel.from_pretrained, or give the model itself"
        )
    found = extract_model_from_parallel(model, keep_torch_compile=False)
    settings = getattr(found, "peft_config", None)
    if settings is not None and not isinstance(found, PreTrainedModel):
        for one in settings.values():
            check_in_layers(one)
        found = found.get_base_model()
    if not isinstance(found, PreTrainedModel):
        raise BadCheckpoint(
            f"{type(model).__name__} is no model of transformers; give one that "
            "AutoModelForImageTextToText.from_pretrained made, or a PeftModel around it"
        )
    return found


def _check_processor(processor: Any, model: PreTrainedModel) -> None:
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        given = "no processor" if processor is None else f"a {type(processor).__name__}"
        where = model.name_or_path or "the model's folder"
        raise BadCheckpoint(
            f"{given} was given, and the model's own is needed, with tokenizer and image "
            f"processor; load it: AutoProcessor.from_pretrained({where!r})"
        )
