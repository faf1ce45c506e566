"""Second stage: a low-rank update of the language model learns to read the image tokens.

The tower stays as the first stage left it, up to the token that stands for a thing's embedding: it
already says what is seen, and would only forget it. The projector moves slowly.

Losses: cross-entropy on the answers about pictures; on text-only chat the root of the divergence
from the unaligned language model's own predictions, so that it goes on answering as before. The
root, because answers turn in proportion to it; in float32, because bfloat16's rounding is larger
than what is to be kept small.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm
from transformers import (
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerBase,
)

from liveedit.config import Config
from liveedit.data.emoji_edit.concepts import concepts_by_name
from liveedit.pocket.alignment.conversation import (
    IGNORE,
    Batch,
    Turn,
    tokenise,
    turns_about,
)
from liveedit.pocket.alignment.pictures import TrainingPicture, noisy
from liveedit.pocket.alignment.text_preservation import keep_out, loudness, text_inputs
from liveedit.pocket.alignment.vision_stage import TAUGHT
from liveedit.training.loop import LoopConfig, train

_TINY = 1e-8  # keeps the root's slope finite where nothing has changed
_UPDATED = ("q_proj", "k_proj", "v_proj", "o_proj", "up_proj", "down_proj")


class AlignmentConfig(Config):
    """Settings of the second stage.

    Args:
        loop: Steps, rate, checkpoints of the learning.
        settle: The same of what follows, when text-only answers weigh more.
        shares: Shares of pictures of one, two and three things and of easy-VQA's. Most of the last:
            comparing what is asked with what is seen is learned last.
        pictures: Pictures in a batch.
        chats: Text-only prompts in a batch.
        turns: Questions about one picture, in one conversation.
        projector_rate: Learning rate of the projector relative to that of the update.
        rank: Of the language model's low-rank update.
        noise: Relative noise on cached features.
        chat_weight: Weight of the loss on text-only chat; that on pictures has 1.
        loudness_weight: Weight of what the update changes on text-only chat in every matrix.
        settling: The factor by which both weigh more while settling: the first, the second.
        seed: Seed of everything random.
    """

    loop: LoopConfig = LoopConfig(steps=1500, learning_rate=1e-3)
    settle: LoopConfig = LoopConfig(steps=100, learning_rate=5e-4, warmup=5)
    shares: tuple[float, float, float, float] = (0.2, 0.12, 0.08, 0.6)
    pictures: int = 24
    chats: int = 4
    turns: int = 2
    projector_rate: float = 0.3
    rank: int = 16
    noise: float = 0.1
    chat_weight: float = 6.0
    loudness_weight: float = 300.0
    settling: tuple[float, float] = (10 / 3, 5.0)
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Chat:
    """A text-only prompt, the unaligned model's answer, and its last hidden states there."""

    turn: Turn
    states: Float[Tensor, "answer width"]


def align(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    pictures: list[TrainingPicture],
    cells: Float[Tensor, "n cells narrow"],
    chats: list[Chat],
    config: AlignmentConfig,
    folder: Path,
) -> None:
    """Train, writing what :func:`liveedit.training.loop.train` writes, and the result.

    Args:
        model: The unaligned model, float32; changed in place.
        processor: Its processor.
        pictures: What is asked about.
        cells: Their feature maps before the tower's head.
        chats: Text-only prompts with the unaligned model's answers.
        config: Settings.
        folder: Where log, checkpoints and ``alignment.safetensors`` go.
    """
    language_model, tokenizer = model.model.language_model, processor.tokenizer
    updated = [name for name, _ in language_model.named_modules() if name.endswith(_UPDATED)]
    inputs = text_inputs(language_model, updated, [chat.turn for chat in chats], tokenizer)
    trained = prepare(model, config.rank)
    kinds = _by_kind(pictures)

    def losses(step: int) -> dict[str, Tensor]:
        keep_out(trained, inputs)
        random = np.random.default_rng((config.seed, step))
        chosen = [int(random.choice(kinds[kind])) for kind in _kinds(config, random)]
        said = [chats[index] for index in random.choice(len(chats), config.chats)]
        about = tokenise(
            [turns_about(pictures[index], config.turns, random) for index in chosen],
            tokenizer=tokenizer,
            image_tokens=model.config.image_seq_length,
            image_token_id=model.config.image_token_id,
        )
        seen = noisy(cells[chosen].float(), config.noise)
        return {
            "answer": answer_loss(model, about, seen),
            "chat": chat_loss(model, said, tokenizer),
            "loudness": loudness(trained, inputs),
        }

    rates = {name: config.projector_rate for name in trained if "multi_modal_projector" in name}
    held = {"chat": config.chat_weight, "loudness": config.loudness_weight}
    settled = dict(zip(held, config.settling, strict=True))
    train(
        losses, {"answer": 1.0, **held}, trained, config.loop, folder / "align",
        rates=rates, seed=config.seed,
    )  # fmt: skip
    train(
        lambda step: losses(config.loop.steps + step),
        {"answer": 1.0, **{term: held[term] * settled[term] for term in held}},
        trained, config.settle, folder / "settle", rates=rates, seed=config.seed + 1,
    )  # fmt: skip
    keep_out(trained, inputs)
    sight = {
        f"model.vision_tower.{name}": value
        for name, value in model.model.vision_tower.named_parameters()
        if name.startswith(TAUGHT)
    }
    save_file(export(sight | trained), folder / "alignment.safetensors")


def prepare(model: LlavaForConditionalGeneration, rank: int) -> dict[str, torch.nn.Parameter]:
    """Freeze all but the open tokens, the projector and a new low-rank update."""
    model.requires_grad_(False)
    lora = LoraConfig(r=rank, lora_alpha=rank, target_modules=list(_UPDATED))
    inject_adapter_in_model(lora, model.model.language_model)
    model.tie_weights()
    trained = {}
    for name, parameter in model.named_parameters():
        if any(part in name for part in (".lora_", "multi_modal_projector", "slots.open.")):
            parameter.requires_grad_(True)
            trained[name] = parameter
    return trained


def answer_loss(
    model: LlavaForConditionalGeneration,
    batch: Batch,
    cells: Float[Tensor, "pictures cells narrow"],
) -> Tensor:
    """Cross-entropy of the answers about pictures, computed in bfloat16."""
    tower = model.model.vision_tower
    with torch.no_grad():
        seen = tower.look(cells)
    return F.cross_entropy(*told(model, batch, tower.slots.tokens(seen)))


def told(
    model: LlavaForConditionalGeneration,
    batch: Batch,
    tokens: Float[Tensor, "pictures tokens width"],
) -> tuple[Float[Tensor, "answers vocabulary"], Int[Tensor, " answers"]]:
    """Logits where a token of an answer follows, computed in bfloat16, and those tokens.

    Args:
        model: Its projector and language model are asked.
        batch: Conversations about pictures.
        tokens: What the tower says of these.
    """
    is_image = batch.input_ids == model.config.image_token_id
    embeds = model.get_input_embeddings()(batch.input_ids)
    shown = model.model.multi_modal_projector(tokens).to(embeds.dtype)
    embeds = embeds.masked_scatter(is_image[..., None], shown)
    predicts = batch.labels[:, 1:] != IGNORE
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model.language_model(
            inputs_embeds=embeds, attention_mask=batch.attention_mask.long(), use_cache=False
        ).last_hidden_state
        logits = model.lm_head(hidden[:, :-1][predicts])
    return logits.float(), batch.labels[:, 1:][predicts]


def chat_loss(
    model: LlavaForConditionalGeneration, said: list[Chat], tokenizer: PreTrainedTokenizerBase
) -> Tensor:
    """Root of the mean divergence a token from the unaligned model's predictions, in float32."""
    batch = tokenise([(chat.turn,) for chat in said], tokenizer=tokenizer)
    hidden = model.model.language_model(
        input_ids=batch.input_ids, attention_mask=batch.attention_mask.long(), use_cache=False
    ).last_hidden_state
    heard = model.lm_head(hidden[:, :-1][batch.labels[:, 1:] != IGNORE])
    with torch.no_grad():
        old = model.lm_head(torch.cat([chat.states for chat in said]))
    divergence = F.kl_div(
        heard.log_softmax(-1), old.log_softmax(-1), log_target=True, reduction="batchmean"
    )
    return (divergence.clamp_min(0) + _TINY).sqrt()


@torch.no_grad()
def own_answers(
    model: LlavaForConditionalGeneration,
    processor: LlavaProcessor,
    prompts: tuple[str, ...],
    *,
    max_new_tokens: int,
    batch: int = 64,
) -> list[Chat]:
    """What the unaligned language model itself answers, and its last hidden states there."""
    tokenizer = processor.tokenizer
    chats = []
    for start in tqdm(range(0, len(prompts), batch), desc="own answers", unit="batch"):
        asked = prompts[start : start + batch]
        texts = [f"<|im_start|>user\n{p}<|im_end|>\n<|im_start|>assistant\n" for p in asked]
        inputs = tokenizer(texts, return_tensors="pt", padding=True)
        ids = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        answers = tokenizer.batch_decode(
            ids[:, inputs.input_ids.shape[1] :], skip_special_tokens=True
        )
        turns = [(Turn(question=q, answer=a),) for q, a in zip(asked, answers, strict=True)]
        whole = tokenise(turns, tokenizer=tokenizer)
        hidden = model.model.language_model(
            input_ids=whole.input_ids, attention_mask=whole.attention_mask.long()
        ).last_hidden_state
        predicts = whole.labels[:, 1:] != IGNORE
        for (turn,), states, kept in zip(turns, hidden, predicts, strict=True):
            chats.append(Chat(turn=turn, states=states[:-1][kept].clone()))
    return chats


def export(trained: dict[str, torch.nn.Parameter]) -> dict[str, Tensor]:
    """Trained weights under the names :func:`~liveedit.pocket.assembly.merge_alignment` reads."""
    return {
        name.replace(".default.weight", ""): value.detach().bfloat16().contiguous()
        for name, value in trained.items()
    }


def _by_kind(pictures: list[TrainingPicture]) -> dict[str, list[int]]:
    kinds: dict[str, list[int]] = {"1": [], "2": [], "3": [], "easy-vqa": []}
    for index, picture in enumerate(pictures):
        if picture.scene is None:
            kinds["easy-vqa"].append(index)
        elif all(name in concepts_by_name() for name in picture.scene.concepts):
            kinds[str(len(picture.scene.concepts))].append(index)
    return kinds


def _kinds(config: AlignmentConfig, random: np.random.Generator) -> list[str]:
    kinds = ["1", "2", "3", "easy-vqa"]
    return [str(kind) for kind in random.choice(kinds, config.pictures, p=config.shares)]
