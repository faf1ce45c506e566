"""The vision tower of the pocket VLM: EfficientNet-Lite with slots that read its map."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from liveedit.pocket.codebook import COLOURS, ENTRIES, WORDS
from liveedit.pocket.efficientnet import STRIDE, EfficientNetLite
from liveedit.pocket.photographs import Photographs
from liveedit.pocket.slots import Seen, Slots


class PocketVisionConfig(PretrainedConfig):
    """Configuration of the tower; the defaults are those of the pocket VLM.

    Args:
        hidden_size: Width of an image token, that of the language model's embeddings.
        image_size: Side of the square input in pixels, a multiple of 32.
        width: Width coefficient of EfficientNet-Lite.
        depth: Depth coefficient of EfficientNet-Lite.
        channels: Channels of EfficientNet-Lite's head.
        context: Width of the encoder that assigns cells to things.
        embedding: Dimension of a thing's embedding.
        entries: Entries of the codebook.
        colours: Colours of the ground.
        words: Tokens of an entry.
        classes: Classes of the classifier that names what photographs show.
    """

    model_type = "liveedit_pocket_vision"

    hidden_size: int = 576
    image_size: int = 256
    width: float = 1.1
    depth: float = 1.2
    channels: int = 1280
    context: int = 192
    embedding: int = 256
    entries: int = len(ENTRIES)
    colours: int = len(COLOURS)
    words: int = WORDS
    classes: int = 1000

    @property
    def image_tokens(self) -> int:
        """Image tokens for one picture."""
        return Slots.token_count(self.words)


class PocketVisionModel(PreTrainedModel):
    """From pixels to the words of what is seen."""

    config_class = PocketVisionConfig
    base_model_prefix = "pocket_vision"
    main_input_name = "pixel_values"
    input_modalities = ("image",)
    # depthwise convolutions are far slower in bfloat16 on a CPU, and the tower is small
    _keep_in_fp32_modules_strict = ("vision_tower",)

    def __init__(self, config: PocketVisionConfig) -> None:
        super().__init__(config)
        self.backbone = EfficientNetLite(
            width=config.width, depth=config.depth, channels=config.channels
        )
        self.slots = Slots(
            narrow=self.backbone.narrow,
            channels=config.channels,
            cells=(config.image_size // STRIDE) ** 2,
            context=config.context,
            embedding=config.embedding,
            entries=config.entries,
            colours=config.colours,
            words=config.words,
            width=config.hidden_size,
        )
        self.photographs = Photographs(
            narrow=self.backbone.narrow,
            channels=config.channels,
            classes=config.classes,
            embedding=config.embedding,
            words=config.words,
            width=config.hidden_size,
        )
        self.post_init()

    def look(self, cells: Float[Tensor, "batch cells narrow"]) -> Seen:
        """What the slots hold, from the feature map before EfficientNet-Lite's head."""
        return self.slots(cells, self.backbone.widen(cells))

    def tokens(
        self, cells: Float[Tensor, "batch cells narrow"]
    ) -> Float[Tensor, "batch tokens width"]:
        """Image tokens, of drawings by the slots, of photographs by the published classifier."""
        seen = self.look(cells)
        tokens = self.slots.tokens(seen)
        pooled = self.photographs.pooled(cells)
        of_one = self.slots.tokens_of_one(seen.ground, *self.photographs(pooled))
        return torch.where(self.photographs.are_photographs(pooled)[:, None, None], of_one, tokens)

    def forward(
        self, pixel_values: Float[Tensor, "batch 3 height width"], **_: object
    ) -> BaseModelOutputWithPooling:
        """Encode pictures.

        Args:
            pixel_values: Normalised pixels, of the configured size.

        Returns:
            ``last_hidden_state`` of shape (batch, tokens, hidden_size); ``hidden_states`` holds the
            same tensor as its only entry, which is where LLaVA looks for the layer it selects.
        """
        pixels = pixel_values.to(self.dtype, memory_format=torch.channels_last)
        tokens = self.tokens(self.backbone.cells(pixels))
        if isinstance(self.config.dtype, torch.dtype):  # what the projector computes in
            tokens = tokens.to(self.config.dtype)
        return BaseModelOutputWithPooling(
            last_hidden_state=tokens, pooler_output=tokens.mean(1), hidden_states=(tokens,)
        )


AutoConfig.register(PocketVisionConfig.model_type, PocketVisionConfig)
AutoModel.register(PocketVisionConfig, PocketVisionModel)
