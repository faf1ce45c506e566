"""The whole alignment, stage after stage; every stage's result is kept, so a kill costs little."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file, save_file
from transformers import LlavaForConditionalGeneration, LlavaProcessor

from liveedit.data.easy_vqa import Turn
from liveedit.data.text_prompts import training_prompts
from liveedit.pocket.alignment.language_stage import AlignmentConfig, Chat, align, own_answers
from liveedit.pocket.alignment.pictures import cache_features, load_features, training_pictures
from liveedit.pocket.alignment.recognition import FITTED, fit_codebook
from liveedit.pocket.alignment.vision_stage import VisionStageConfig, teach_sight
from liveedit.pocket.assembly import unaligned_pocket

_ANSWER_TOKENS = 24


def train_alignment(folder: Path, sight: VisionStageConfig, config: AlignmentConfig) -> Path:
    """Train the alignment from the parts.

    Args:
        folder: Where features (about 1.4 GB), checkpoints and logs are kept; the same folder
            goes on with an interrupted run.
        sight: Settings of the first stage.
        config: Settings of the second stage.

    Returns:
        The weights to ship, ``alignment.safetensors``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model, processor = unaligned_pocket()
    pictures = list(
        training_pictures(
            variations=6,
            unnamed=3,
            pairs=6000,
            triples=3000,
            easy_vqa_pictures=3500,
            seed=config.seed,
        )
    )
    cache_features(model.model.vision_tower, pictures, folder / "features")
    pictures, cells = load_features(folder / "features")

    tower = model.model.vision_tower
    teach_sight(tower, pictures, cells, sight, folder / "sight")
    book = folder / "codebook.safetensors"
    if book.exists():
        tower.load_state_dict(load_file(book), strict=False)
    else:
        fit_codebook(tower, pictures, cells)
        save_file({f"slots.{name}": tower.slots.get_parameter(name).data for name in FITTED}, book)

    chats = _own_answers(model, processor, folder)
    align(model, processor, pictures, cells, chats, config, folder)
    return folder / "alignment.safetensors"


def _own_answers(
    model: LlavaForConditionalGeneration, processor: LlavaProcessor, folder: Path
) -> list[Chat]:
    turns_file, states_file = folder / "chats.json", folder / "chats.safetensors"
    if not states_file.exists():
        chats = own_answers(model, processor, training_prompts(), max_new_tokens=_ANSWER_TOKENS)
        turns_file.write_text(json.dumps([[c.turn.question, c.turn.answer] for c in chats]))
        save_file({f"{index:05d}": chat.states for index, chat in enumerate(chats)}, states_file)
    turns = [Turn(question=q, answer=a) for q, a in json.loads(turns_file.read_text())]
    states = load_file(states_file)
    return [
        Chat(turn=turn, states=states[key]) for turn, key in zip(turns, sorted(states), strict=True)
    ]
