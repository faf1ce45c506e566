"""Loading a processor, also where the libraries for videos are missing."""

from __future__ import annotations

from typing import Any

from transformers import PreTrainedConfig, ProcessorMixin
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
from transformers.utils import is_torchvision_available


def processor_class(config: PreTrainedConfig) -> type[ProcessorMixin]:
    """The processor of a model; without its video processor where torchvision is missing.

    Raises:
        KeyError: transformers knows none for this model.
    """
    own = PROCESSOR_MAPPING[type(config)]
    return own if is_torchvision_available() else for_pictures(own)


def for_pictures(own: type[ProcessorMixin]) -> type[ProcessorMixin]:
    """A processor's class without the video processor, which needs torchvision; else the same."""
    if "video_processor" not in own.get_attributes():
        return own

    class ForPictures(own):
        video_processor = None
        # that of SmolVLM asks the video processor for its frames
        apply_chat_template = ProcessorMixin.apply_chat_template

        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in own.get_attributes() if name != "video_processor"]

        @classmethod
        def from_args_and_dict(cls, args: Any, processor_dict: dict[str, Any], **more: Any) -> Any:
            known = processor_dict | {"video_processor": None}
            return super().from_args_and_dict(args, known, **more)

    ForPictures.__name__ = own.__name__  # under which it is saved
    ForPictures.__qualname__ = own.__qualname__
    return ForPictures
