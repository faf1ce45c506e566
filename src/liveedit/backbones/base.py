"""A backbone: a loaded VLM and its processor, behind what the editor needs of it."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from transformers import PreTrainedModel, ProcessorMixin
from transformers.utils import ModelOutput

from liveedit.backbones.adapters import Adapter, adapter_in_force
from liveedit.backbones.chat import expanded
from liveedit.backbones.evaluation_mode import hold_evaluation_mode, release_evaluation_mode
from liveedit.backbones.generation import changes_scores, check_options, exclusive
from liveedit.backbones.layer_hook import LayerHook, StopForward
from liveedit.backbones.module_hooks import ModuleHooks
from liveedit.backbones.precision import dtype_of, precision_of
from liveedit.backbones.prompts import PromptEncoder
from liveedit.backbones.quantisation import quantised_by, rows_of
from liveedit.backbones.query import (
    History,
    PaddingSide,
    Picture,
    Query,
    as_list,
    counted,
    padded,
)
from liveedit.backbones.spans import Spans, find_spans
from liveedit.backbones.upper_layers import upper_layers
from liveedit.backbones.watch import ModelWatch
from liveedit.correction.images import Pictures, as_sequence
from liveedit.errors import ContextTooLong, ModelClosed
from liveedit.saving.fingerprint import config_digest


class Backbone(PromptEncoder):
    """What all supported families share; a family's file says what differs.

    Args:
        model: The loaded transformers model, never modified: it is in evaluation mode and has a
            hook for as long as this object lives or until `close`, no longer.
        processor: Its processor.
        edit_layer: Index of the decoder layer whose output is read and edited.
        name: What to call it in reports and fingerprints.
        source: What :func:`liveedit.backbones.registry.load_backbone` loads it from; its name by
            default.
        editors: Folders of what it ships for editing methods, by the method's name.
        revision: Of its weights, see :func:`liveedit.saving.fingerprint.weights_revision`; None if
            not known.
        adapter: What an adapter of PEFT adds to these weights, if it is merged into them; one that
            is beside them is found.
    """

    family: ClassVar[str]
    # whether the model keeps what belongs to one generation, so that two must not run at once
    keeps_state: ClassVar[bool] = False
    # whether the states of a token depend on nothing that stands behind it, but for its own picture
    looks_back: ClassVar[bool] = True
    # names in ``per_token`` that ``finish`` cannot do without
    required_per_token: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        model: PreTrainedModel,
        processor: ProcessorMixin,
        *,
        edit_layer: int,
        name: str,
        source: str | None = None,
        editors: Mapping[str, Path] | None = None,
        revision: str | None = None,
        adapter: Adapter | None = None,
    ) -> None:
        super().__init__(model, processor)
        self.edit_layer = edit_layer
        self.name = name
        self.source = source or name
        self.editors = dict(editors or {})
        self.revision = revision
        self.check_edit_layer()
        self.adapter = adapter or adapter_in_force(model)
        hold_evaluation_mode(model)
        self._release = weakref.finalize(self, release_evaluation_mode, model)
        self.watch = ModelWatch(model)
        self.hook = LayerHook(self.layer)
        self.module_hooks = ModuleHooks(self.decoder)
        self.model_hooks = ModuleHooks(self.model)  # of what is outside of the decoder

    def close(self) -> None:
        """Let go of the model: no hook, modules in training mode that were; a second time is fine.

        What was made with this object is of no use any more.
        """
        for hooks in (self.hook, self.module_hooks, self.model_hooks):
            hooks.remove()
        self._release()

    def check_open(self) -> None:
        """Make sure that it was not closed.

        Raises:
            ModelClosed: It was.
        """
        if not self._release.alive:
            raise ModelClosed

    @classmethod
    def default_edit_layer(cls, layers: int) -> int:
        """Where to edit: at two thirds of the depth, which the paper found best (21 of 32).

        Args:
            layers: Number of decoder layers.
        """
        return round(layers * 2 / 3)

    def check_edit_layer(self) -> None:
        """Refuse an edit layer that the family cannot edit.

        Raises:
            ValueError: It can not.
        """
        if not 0 <= self.edit_layer < self.layers:
            raise ValueError(
                f"there is no decoder layer {self.edit_layer}; give one of 0 to {self.layers - 1}"
            )

    @property
    def decoder(self) -> Any:
        """The text model that holds the decoder layers as ``layers``."""
        return self.model.get_decoder()

    @property
    def layer(self) -> nn.Module:
        """The decoder layer that is edited."""
        return self.decoder.layers[self.edit_layer]

    @property
    def layers(self) -> int:
        """Number of decoder layers."""
        return len(self.decoder.layers)

    @property
    def edit_device(self) -> torch.device:
        """Where the edit layer computes, which may be another where a model is spread out."""
        hooks = (getattr(module, "_hf_hook", None) for module in self.layer.modules())
        devices = (getattr(hook, "execution_device", None) for hook in hooks)
        spread = next((device for device in devices if device is not None), None)
        return next(self.layer.parameters()).device if spread is None else torch.device(spread)

    @property
    def dtype(self) -> torch.dtype:
        """What the edit layer computes in; a vision encoder may compute in another one."""
        return dtype_of(self.layer, self.model.dtype)

    @property
    def width(self) -> int:
        """Width of the hidden states."""
        return self.model.config.get_text_config().hidden_size

    @property
    def context(self) -> int | None:
        """How many tokens the model takes; None if its config does not say."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    @property
    def changes_scores(self) -> bool:
        """Whether the model's own settings make greedy decoding say other than the likeliest."""
        return changes_scores(self.model.generation_config)

    @property
    def ends(self) -> list[int]:
        """Ids that end an answer, the model's own and the chat format's."""
        own = self.model.generation_config.eos_token_id
        ends = set(own if isinstance(own, Iterable) else [] if own is None else [own])
        return sorted(ends | {self.tokenizer.convert_tokens_to_ids(self.end_of_answer)})

    def fingerprint(self) -> dict[str, object]:
        """What checkpoints must agree with, see :mod:`liveedit.saving.fingerprint`."""
        adapted = {} if self.adapter is None else {"adapter": self.adapter.digest}
        return adapted | {
            "family": self.family,
            "backbone": self.name,
            "width": self.width,
            "layers": self.layers,
            "edit_layer": self.edit_layer,
            "vocabulary": self.model.get_input_embeddings().weight.shape[0],
            "config": config_digest(self.model.config),
            "weights": self.revision,
            "dtype": None if self.model.device.type == "meta" else self.precision,
            "processor": self.image_backend,
        }

    @property
    def precision(self) -> str:
        """What the edit layer computes in, and how the weights are quantised if they are."""
        return precision_of(self.dtype, quantised_by(self.model))

    @property
    def image_backend(self) -> str:
        """Which library prepares the pictures; their resizing differs a little."""
        return getattr(self.processor.image_processor, "backend", "unknown")

    def query(
        self,
        images: Sequence[Pictures],
        questions: Sequence[str],
        targets: Sequence[str] | None = None,
        *,
        histories: Sequence[History] | None = None,
        padding_side: PaddingSide = "left",
        lead: Sequence[int] | None = None,
    ) -> Query:
        """Tokenise questions, each with its pictures, and with targets where given.

        The end-of-answer token is part of a target.

        Args:
            images: One picture, several or None for each question.
            questions: What is asked.
            targets: What is answered.
            histories: What precedes each question in its conversation.
            padding_side: Of the batch; ``generate`` needs left.
            lead: How many positions each row has before its first token, for whoever puts
                embeddings there.

        Raises:
            ContextTooLong: One has more tokens than the model takes.
        """
        own = self.pictures([as_sequence(image) for image in images])
        pad = self.tokenizer.pad_token_id
        value = self.tokenizer.eos_token_id if pad is None else pad
        rows, lengths = [], []
        for index, (pictures, question) in enumerate(zip(own, questions, strict=True)):
            history = () if histories is None else histories[index]
            prompt = self.conversation_text(history, question, images=len(pictures))
            answer = [] if targets is None else self.target_ids(targets[index], prompt)
            texts = [picture.text for picture in pictures]
            before = [value] * (0 if lead is None else lead[index])
            rows.append(before + self.encode(expanded(prompt, self.marker, texts)) + answer)
            lengths.append(len(answer))
            if self.context is not None and len(rows[-1]) > self.context:
                raise ContextTooLong(tokens=len(rows[-1]), limit=self.context)
        ids, mask = (part.to(self.device) for part in padded(rows, value=value, side=padding_side))
        target_lengths = torch.tensor(lengths, device=self.device)
        spans = find_spans(ids, mask, self.image_token_id, target_lengths)
        seen = [picture for pictures in own for picture in pictures]
        inputs = self.inputs_beside(spans, seen)
        positions = self.position_ids(ids, mask, inputs)
        return Query(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            spans=spans.to(self.edit_device),
            features=[picture.features for picture in seen],
            inputs=inputs,
            per_token=self.per_token(positions, inputs),
            pack=self.pack,
        )

    def inputs_beside(self, spans: Spans, pictures: Sequence[Picture]) -> dict[str, Tensor]:
        """What the model is given beside ids, mask and features; by default `picture_inputs`."""
        if not pictures:
            return {}
        return {
            name: torch.stack([picture.inputs[name] for picture in pictures])
            for name in self.picture_inputs
        }

    def position_ids(
        self,
        input_ids: Int[Tensor, "batch length"],
        attention_mask: Int[Tensor, "batch length"],
        inputs: Mapping[str, Tensor],
    ) -> Int[Tensor, "*axes batch length"]:
        """Positions as ``forward`` takes them."""
        return counted(attention_mask)

    def per_token(
        self, position_ids: Int[Tensor, "*axes batch length"], inputs: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """What `decoder_inputs` needs beside the mask; each (batch, length, ...)."""
        return {name: inputs[name] for name in self.required_per_token}

    def pack(self, features: list[Tensor]) -> ModelOutput | None:
        """The vision encoder's output as the model takes it ready made."""
        return as_list(features)

    @torch.no_grad()
    def generate(self, query: Query, **options: Any) -> list[str]:
        """What the model says to each row, by its own ``generate``; greedy by default.

        Raises:
            UnsupportedGeneration: See :meth:`generate_output`.
        """
        return self.decoded(query, self.generate_output(query, options))

    def decoded(self, query: Query, output: Tensor | ModelOutput) -> list[str]:
        """The answers in what ``generate`` returned, without special tokens."""
        ids = output if isinstance(output, Tensor) else output.sequences
        start = query.input_ids.shape[1]
        return self.tokenizer.batch_decode(ids[:, start:], skip_special_tokens=True)

    @torch.no_grad()
    def generate_output(
        self, query: Query, options: Mapping[str, Any]
    ) -> Int[Tensor, "sequences length"] | ModelOutput:
        """What the model's ``generate`` returns: ids, or with more, if the options ask for it.

        Raises:
            UnsupportedGeneration: The prompt is not processed whole and in one pass, or the batch
                is padded on the right.
        """
        check_options(query, options)
        defaults: dict[str, Any] = {"do_sample": False, "eos_token_id": self.ends}
        if options.get("stop_strings"):
            defaults["tokenizer"] = self.tokenizer
        with exclusive(self.model) if self.keeps_state else nullcontext():
            return self.generated_ids(query, defaults | dict(options))

    def generated_ids(
        self, query: Query, options: Mapping[str, Any]
    ) -> Int[Tensor, "sequences length"] | ModelOutput:
        """Prompt and answer, by the model's own ``generate``."""
        return self.model.generate(**query.model_inputs(), **options)

    @torch.no_grad()
    def logits(self, query: Query) -> Float[Tensor, "batch length vocabulary"]:
        """Logits of a whole pass, at every position."""
        return self.forward(query, use_cache=False).logits

    def forward(self, query: Query, **options: Any) -> ModelOutput:
        """The model's own ``forward``."""
        return self.model(**query.model_inputs(), position_ids=query.position_ids, **options)

    @torch.no_grad()
    def states(self, query: Query, **options: Any) -> Float[Tensor, "batch length width"]:
        """Hidden states that leave the edit layer of the unedited model; no layer above is run.

        Args:
            query: Questions.
            options: Of the model's ``forward``.
        """
        found: list[Tensor] = []

        def stop(hidden: Tensor) -> None:
            found.append(hidden)
            raise StopForward

        with suppress(StopForward), self.hook.changing(stop):
            self.forward(query, **({"use_cache": False} | options))
        return found[0]

    def finish(
        self,
        hidden: Float[Tensor, "batch length width"],
        attention_mask: Int[Tensor, "batch length"],
        keep: Bool[Tensor, "batch length"],
        per_token: Mapping[str, Tensor] | None = None,
        *,
        layer: int | None = None,
    ) -> Float[Tensor, "kept vocabulary"]:
        """Run the layers above the edit layer, and the head at the kept positions only.

        Args:
            hidden: States that leave the edit layer, edited or not.
            attention_mask: One where a token is.
            keep: Positions whose logits are wanted.
            per_token: ``Query.per_token`` of these rows; families that need none do without.
            layer: Of another layer than the edit layer, whose output the states are.

        Returns:
            Logits of the kept positions, row after row, in the model's dtype.

        Raises:
            ValueError: The family needs something of every token that is not given.
        """
        per_token = per_token or {}
        missing = [name for name in self.required_per_token if name not in per_token]
        if missing:
            raise ValueError(
                f"{self.family} cannot go on from states without {', '.join(missing)}; pass on "
                "per_token of the query they are of"
            )
        inputs = self.decoder_inputs(hidden, attention_mask, per_token)
        at = self.edit_layer if layer is None else layer
        above = upper_layers(self.decoder, at, hidden)
        last = above(inputs_embeds=hidden, use_cache=False, **inputs).last_hidden_state
        return self.model.get_output_embeddings()(last[keep.to(last.device)])

    def decoder_inputs(
        self,
        hidden: Float[Tensor, "batch length width"],
        attention_mask: Int[Tensor, "batch length"],
        per_token: Mapping[str, Tensor],
    ) -> dict[str, Any]:
        """Mask and positions as the decoder takes them."""
        mask = attention_mask.to(hidden.device)
        return {"attention_mask": mask, "position_ids": counted(mask)}

    def lexical(
        self, input_ids: Int[Tensor, "batch length"], target: Bool[Tensor, "batch length"]
    ) -> Float[Tensor, "batch length width"]:
        """Output embeddings of target tokens, unit root mean square; zero elsewhere."""
        head = self.model.get_output_embeddings().weight
        embeddings = rows_of(head, input_ids).to(target.device).float()
        unit = embeddings / embeddings.square().mean(-1, keepdim=True).sqrt().clamp(min=1e-6)
        return (unit * target[..., None]).detach()
