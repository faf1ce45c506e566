"""How a backbone sees: pictures to image tokens, once for each picture."""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from threading import Lock
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from PIL import Image
from torch import Tensor
from transformers import PreTrainedModel, ProcessorMixin
from transformers.utils import ModelOutput

from liveedit.backbones.query import Picture
from liveedit.correction import image_identity
from liveedit.errors import BadImage


class ImageEncoder:
    """Image processor and vision tower of a model, and the pictures seen lately.

    Args:
        model: The loaded transformers model.
        processor: Its processor.
    """

    # inputs of the vision tower that the model needs again beside the features
    picture_inputs: ClassVar[tuple[str, ...]] = ()
    # whether the image tokens of a picture depend on there being others in its prompt
    depends_on_image_count: ClassVar[bool] = False

    _FEATURES_KEPT = 512 * 2**20  # bytes of image tokens of pictures seen lately
    _PICTURES_AT_ONCE = 4  # small batches stay in a processor's cache: four times faster than 64

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin) -> None:
        self.model = model
        self.processor = processor
        self._pictures: OrderedDict[tuple[str, bool], Picture] = OrderedDict()
        self._features_size = 0
        self._lock = Lock()

    @property
    def tokenizer(self) -> Any:
        """The processor's tokenizer."""
        return self.processor.tokenizer

    @property
    def device(self) -> torch.device:
        """Where the model's inputs go."""
        return self.model.device

    @property
    def image_token_id(self) -> int:
        """Id of the placeholder of an image token."""
        return self.model.config.image_token_id

    def pictures(self, rows: Sequence[Sequence[Image.Image]]) -> list[list[Picture]]:
        """The pictures of each row; one seen lately is not encoded again."""
        keys = [
            [(image_identity(one), self.depends_on_image_count and len(row) > 1) for one in row]
            for row in rows
        ]
        images = {
            key: image
            for row, own in zip(rows, keys, strict=True)
            for image, key in zip(row, own, strict=True)
        }
        with self._lock:
            found = {key: self._pictures[key] for key in images if key in self._pictures}
        for together in (False, True):
            fresh = [key for key in images if key not in found and key[1] is together]
            for start in range(0, len(fresh), self._PICTURES_AT_ONCE):
                some = fresh[start : start + self._PICTURES_AT_ONCE]
                read = self.encode_images([images[key] for key in some], together=together)
                found.update(zip(some, read, strict=True))
        with self._lock:
            self._keep(found)
        return [[found[key] for key in own] for own in keys]

    def image_features(self, images: Sequence[Image.Image]) -> list[Float[Tensor, "_tokens width"]]:
        """Image tokens of pictures, each alone in its prompt."""
        return [picture.features for (picture,) in self.pictures([[image] for image in images])]

    def forget_images(self) -> None:
        """Drop what is kept of pictures seen lately."""
        with self._lock:
            self._pictures.clear()
            self._features_size = 0

    def read_images(
        self, images: list[Image.Image], *, together: bool = False
    ) -> tuple[Mapping[str, Any], list[str]]:
        """What the processor makes of pictures: numbers for the vision tower, text for prompts.

        Args:
            images: The pictures.
            together: Whether they stand in one prompt, which only some families mind.
        """
        options = getattr(self.processor, "images_kwargs", {}) | {"return_tensors": "pt"}
        grouped = self.grouped(images, together=together)
        seen = self.processor.image_processor(grouped, **options)
        texts = [
            self.processor.replace_image_token(seen, image_idx=index)
            for index in range(len(images))
        ]
        return seen, texts

    def grouped(
        self, images: list[Image.Image], *, together: bool
    ) -> list[Image.Image] | list[list[Image.Image]]:
        """Pictures as the image processor takes them."""
        return images

    @torch.no_grad()
    def encode_images(self, images: list[Image.Image], *, together: bool = False) -> list[Picture]:
        """Pictures as the language model reads them.

        Raises:
            BadImage: The model's image processor refuses one, for its shape for instance.
        """
        try:
            seen, texts = self.read_images(images, together=together)
        except ValueError as error:
            sizes = ", ".join(f"{one.width} × {one.height}" for one in images)
            why = (str(error).splitlines() or ["it does not say why"])[0]
            raise BadImage(
                f"the model's image processor refuses a picture ({why}; "
                f"sizes: {sizes}); give it another shape or size"
            ) from error
        known = inspect.signature(self.model.get_image_features).parameters
        inputs = {
            name: value.to(self.device) if isinstance(value, Tensor) else value
            for name, value in seen.items()
            if name in known
        }
        features = self.features_of(self.model.get_image_features(**inputs, return_dict=True))
        placeholder = self.tokenizer.convert_ids_to_tokens(self.image_token_id)
        counts = [text.count(placeholder) for text in texts]
        return [
            Picture(
                text=text,
                features=part.clone(),  # not a view of all that were encoded with it
                inputs={name: inputs[name][index] for name in self.picture_inputs},
            )
            for index, (text, part) in enumerate(zip(texts, features.split(counts), strict=True))
        ]

    def features_of(self, output: ModelOutput) -> Float[Tensor, "tokens width"]:
        """All image tokens that the vision encoder made, picture by picture."""
        return flat(output.pooler_output)

    def _keep(self, found: Mapping[tuple[str, bool], Picture]) -> None:
        for key, picture in found.items():
            if key not in self._pictures:
                self._features_size += picture.features.nbytes
            self._pictures[key] = picture
            self._pictures.move_to_end(key)
        while self._features_size > self._FEATURES_KEPT and len(self._pictures) > 1:
            self._features_size -= self._pictures.popitem(last=False)[1].features.nbytes


def flat(features: Iterable[Tensor]) -> Float[Tensor, "tokens width"]:
    """Image tokens of several pictures or tiles as one list."""
    return torch.cat([part.reshape(-1, part.shape[-1]) for part in features])
