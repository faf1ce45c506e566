"""A backbone: a loaded VLM and its processor, behind what the editor needs of it."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from PIL import Image
from torch import Tensor, nn
from transformers import PreTrainedModel, ProcessorMixin
from transformers.modeling_outputs import BaseModelOutputWithPooling

from liveedit.correction import image_identity
from liveedit.errors import ControlTokenInText
from liveedit.representation import Spans, find_spans


@dataclass(frozen=True, kw_only=True)
class Query:
    """A tokenised batch of questions, each with or without a picture and a target.

    Args:
        input_ids: Left-padded ids, one placeholder for every image token.
        attention_mask: One where a token is.
        position_ids: Positions counted from each row's first real token.
        spans: Where image, prompt and target are.
        features: Image tokens of the rows that have a picture, in their order.
    """

    input_ids: Int[Tensor, "batch length"]
    attention_mask: Int[Tensor, "batch length"]
    position_ids: Int[Tensor, "batch length"]
    spans: Spans
    features: list[Float[Tensor, "tokens width"]] = field(repr=False)

    def model_inputs(self) -> dict[str, object]:
        """Keyword arguments for the model's ``forward`` and ``generate``."""
        inputs: dict[str, object] = {
            "input_ids": self.input_ids,
            "attention_mask": self.attention_mask,
        }
        if self.features:
            seen = BaseModelOutputWithPooling(pooler_output=list(self.features))
            inputs["mm_encoder_outputs"] = {"image": seen}
        return inputs


class Backbone:
    """What all supported families share; a family's file says what differs.

    Args:
        model: The loaded transformers model, never modified.
        processor: Its processor.
        edit_layer: Index of the decoder layer whose output is read and edited.
        name: What to call it in reports and fingerprints.
    """

    family: str
    _FEATURES_KEPT = 512 * 2**20  # bytes of image tokens of pictures seen lately
    _PICTURES_AT_ONCE = 4  # small batches stay in a processor's cache: four times faster than 64

    def __init__(
        self, model: PreTrainedModel, processor: ProcessorMixin, *, edit_layer: int, name: str
    ) -> None:
        self.model = model.eval()
        self.processor = processor
        self.edit_layer = edit_layer
        self.name = name
        self._features: OrderedDict[str, Tensor] = OrderedDict()
        self._features_size = 0

    @property
    def tokenizer(self):  # type: ignore[no-untyped-def]
        """The processor's tokenizer."""
        return self.processor.tokenizer

    @property
    def device(self) -> torch.device:
        """Where the model's inputs go."""
        return self.model.device

    @property
    def dtype(self) -> torch.dtype:
        """What the model computes in."""
        return self.model.dtype

    @property
    def width(self) -> int:
        """Width of the hidden states."""
        return self.model.get_input_embeddings().weight.shape[1]

    @property
    def layer(self) -> nn.Module:
        """The decoder layer that is edited."""
        return self.model.get_decoder().layers[self.edit_layer]

    @property
    def image_token_id(self) -> int:
        """Id of the placeholder of an image token."""
        return self.model.config.image_token_id

    @property
    def end_of_answer(self) -> str:
        """Token that ends an answer."""
        return self.tokenizer.eos_token

    def fingerprint(self) -> dict[str, object]:
        """What a checkpoint made for this backbone must agree with."""
        return {
            "family": self.family,
            "backbone": self.name,
            "width": self.width,
            "layers": len(self.model.get_decoder().layers),
            "edit_layer": self.edit_layer,
            "vocabulary": self.model.get_input_embeddings().weight.shape[0],
        }

    def prompt_text(self, question: str, *, with_image: bool) -> str:
        """The question in the family's chat format, up to where the answer begins."""
        content: list[dict[str, str]] = [{"type": "image"}] if with_image else []
        content.append({"type": "text", "text": self.checked(question)})
        return self.processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )

    def checked(self, text: str) -> str:
        """The text itself, if no part of it would be read as a control token.

        Raises:
            ControlTokenInText: It would.
        """
        for token in self.tokenizer.added_tokens_decoder.values():
            if token.special and token.content in text:
                raise ControlTokenInText(token.content)
        return text

    def query(
        self,
        images: Sequence[Image.Image | None],
        questions: Sequence[str],
        targets: Sequence[str] | None = None,
    ) -> Query:
        """Tokenise questions, each with its picture or None, and with targets where given.

        The end-of-answer token is part of a target.
        """
        seen = [image for image in images if image is not None]
        features = self.image_features(seen)
        counts = iter([len(one) for one in features])
        rows: list[list[int]] = []
        lengths = []
        placeholder = [self.image_token_id]
        for index, (image, question) in enumerate(zip(images, questions, strict=True)):
            text = self.prompt_text(question, with_image=image is not None)
            ids = self.tokenizer.encode(text, add_special_tokens=False)
            if image is not None:
                at = ids.index(self.image_token_id)
                ids = ids[:at] + placeholder * next(counts) + ids[at + 1 :]
            answer: list[int] = []
            if targets is not None:
                answer = self.target_ids(targets[index])
            rows.append(ids + answer)
            lengths.append(len(answer))
        length = max(map(len, rows))
        input_ids = torch.full((len(rows), length), self.tokenizer.pad_token_id)
        mask = torch.zeros_like(input_ids)
        for row, ids in enumerate(rows):
            input_ids[row, length - len(ids) :] = torch.tensor(ids)
            mask[row, length - len(ids) :] = 1
        input_ids, mask = input_ids.to(self.device), mask.to(self.device)
        target_lengths = torch.tensor(lengths, device=self.device)
        return Query(
            input_ids=input_ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            spans=find_spans(input_ids, mask, self.image_token_id, target_lengths),
            features=features,
        )

    def target_ids(self, target: str) -> list[int]:
        """Token ids of an answer and its end."""
        text = self.checked(target) + self.end_of_answer
        return self.tokenizer.encode(text, add_special_tokens=False)

    @torch.no_grad()
    def image_features(self, images: Sequence[Image.Image]) -> list[Float[Tensor, "tokens width"]]:
        """Image tokens of pictures; a picture seen lately is not encoded again."""
        keys = [image_identity(image) for image in images]
        fresh = {
            key: image for key, image in zip(keys, images, strict=True) if key not in self._features
        }
        found = {key: self._features[key] for key in keys if key in self._features}
        if fresh:
            pictures, at_once = list(fresh.values()), self._PICTURES_AT_ONCE
            encoded = [
                tokens.clone()  # not a view of all that were encoded with it
                for start in range(0, len(pictures), at_once)
                for tokens in self.encode_images(pictures[start : start + at_once])
            ]
            found |= dict(zip(fresh, encoded, strict=True))
        for key in keys:
            self._features[key] = found[key]
            self._features.move_to_end(key)
        self._features_size += sum(found[key].nbytes for key in fresh)
        while self._features_size > self._FEATURES_KEPT and len(self._features) > 1:
            self._features_size -= self._features.popitem(last=False)[1].nbytes
        return [found[key] for key in keys]

    def forget_images(self) -> None:
        """Drop the image tokens that are kept of pictures seen lately."""
        self._features.clear()
        self._features_size = 0

    def encode_images(self, images: list[Image.Image]) -> list[Float[Tensor, "tokens width"]]:
        """Image tokens as the language model reads them."""
        pixels = self.processor.image_processor(images, return_tensors="pt").to(self.device)
        encoded = self.model.get_image_features(**pixels, return_dict=True).pooler_output
        return [tokens.reshape(-1, tokens.shape[-1]) for tokens in encoded]

    @torch.no_grad()
    def generate(self, query: Query, **options: Any) -> list[str]:
        """What the model says to each row, by its own ``generate``; greedy by default."""
        ids = self.model.generate(**query.model_inputs(), **({"do_sample": False} | options))
        return self.tokenizer.batch_decode(
            ids[:, query.input_ids.shape[1] :], skip_special_tokens=True
        )

    @torch.no_grad()
    def states(self, query: Query) -> Float[Tensor, "batch length width"]:
        """Hidden states that leave the edit layer of the unedited model; no layer above is run."""
        found: list[Tensor] = []

        def stop(_module: nn.Module, _inputs: object, hidden: Tensor) -> None:
            found.append(hidden)
            raise _StopForward

        handle = self.layer.register_forward_hook(stop)
        try:
            self.model(**query.model_inputs(), position_ids=query.position_ids, use_cache=False)
        except _StopForward:
            pass
        finally:
            handle.remove()
        return found[0]

    def finish(
        self,
        hidden: Float[Tensor, "batch length width"],
        attention_mask: Int[Tensor, "batch length"],
        keep: Bool[Tensor, "batch length"],
    ) -> Float[Tensor, "kept vocabulary"]:
        """Run the layers above the edit layer, and the head at the kept positions only.

        Args:
            hidden: States that leave the edit layer, edited or not.
            attention_mask: One where a token is.
            keep: Positions whose logits are wanted.

        Returns:
            Logits of the kept positions, row after row, in the model's dtype.
        """
        last = self._layers_above()(
            inputs_embeds=hidden,
            attention_mask=attention_mask,
            position_ids=(attention_mask.cumsum(1) - 1).clamp(min=0),
            use_cache=False,
        ).last_hidden_state
        return self.model.get_output_embeddings()(last[keep])

    def lexical(
        self, input_ids: Int[Tensor, "batch length"], target: Bool[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length width"]:
        """Output embeddings of target tokens, unit root mean square; zero elsewhere."""
        embeddings = self.model.get_output_embeddings().weight[input_ids].float()
        unit = embeddings / embeddings.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-6)
        return (unit * target[..., None]).detach()

    def _layers_above(self) -> nn.Module:
        """The decoder with only the layers above the edit layer; weights are shared."""
        decoder = self.model.get_decoder()
        above = copy.copy(decoder)
        above._modules = dict(decoder._modules)
        above.layers = nn.ModuleList(decoder.layers[self.edit_layer + 1 :])
        return above


class _StopForward(Exception):
    """Ends a forward pass once the wanted states are there."""
