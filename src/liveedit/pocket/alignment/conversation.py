"""Conversations the alignment learns from: questions and answers about a picture, as token ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from liveedit.data.easy_vqa import Turn, easy_vqa_questions
from liveedit.data.emoji_edit.concepts import all_concepts
from liveedit.data.emoji_edit.families import FAMILIES, Family, pick_thing
from liveedit.data.emoji_edit.scene import Scene
from liveedit.pocket.alignment.pictures import TrainingPicture
from liveedit.pocket.codebook import SHAPE_COLOURS, SHAPES

IGNORE = -100
# how often a question family is drawn, relative to 1
_WEIGHTS = {"name": 6.0, "left": 4.0, "right": 4.0, "middle": 4.0, "beside": 2.0}
# likewise an easy-VQA question about what is there: most are about one of many that are not
_PRESENT = 4.0


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Token ids and labels, right-padded; labels are ``IGNORE`` except on answers."""

    input_ids: Int[Tensor, "batch length"]
    labels: Int[Tensor, "batch length"]
    attention_mask: Bool[Tensor, "batch length"]


def turns_about(
    picture: TrainingPicture, count: int, random: np.random.Generator
) -> tuple[Turn, ...]:
    """Draw questions of different families about a picture, with their true answers."""
    if picture.easy_vqa is not None:
        asked = easy_vqa_questions("train")[picture.easy_vqa]
        weights = np.array([_PRESENT if _asks_for_what_is_there(turn) else 1.0 for turn in asked])
        chosen = random.choice(
            len(asked), min(count, len(asked)), replace=False, p=weights / weights.sum()
        )
        return tuple(asked[index] for index in chosen)
    assert picture.scene is not None
    families = _answerable(picture.scene)
    weights = np.array([_WEIGHTS.get(family.name, 1.0) for family in families])
    order = random.choice(
        len(families), min(count, len(families)), replace=False, p=weights / weights.sum()
    )
    return tuple(_turn(families[index], picture.scene, random) for index in order)


def tokenise(
    conversations: Sequence[tuple[Turn, ...]],
    *,
    tokenizer: PreTrainedTokenizerBase,
    image_tokens: int = 0,
    image_token_id: int = IGNORE,
) -> Batch:
    """Turn conversations into one right-padded batch, in the pocket VLM's chat format.

    Args:
        conversations: Each about one picture, or all about none.
        tokenizer: The pocket VLM's.
        image_tokens: How many tokens the picture takes; 0 for text-only chat.
        image_token_id: What stands for one of them.
    """
    rows = []
    for turns in conversations:
        ids: list[int] = []
        labels: list[int] = []
        for number, turn in enumerate(turns):
            opening = tokenizer.encode("<|im_start|>user\n")
            if image_tokens and number == 0:
                opening += [image_token_id] * image_tokens + tokenizer.encode("\n")
            opening += tokenizer.encode(f"{turn.question}<|im_end|>\n<|im_start|>assistant\n")
            answer = tokenizer.encode(f"{turn.answer}<|im_end|>")
            ids += opening + answer + tokenizer.encode("\n")
            labels += [IGNORE] * len(opening) + answer + [IGNORE]
        rows.append((ids, labels))
    length = max(len(ids) for ids, _ in rows)
    input_ids = torch.full((len(rows), length), tokenizer.pad_token_id)
    labels_ = torch.full((len(rows), length), IGNORE)
    mask = torch.zeros((len(rows), length), dtype=torch.bool)
    for row, (ids, labels) in enumerate(rows):
        input_ids[row, : len(ids)] = torch.tensor(ids)
        labels_[row, : len(ids)] = torch.tensor(labels)
        mask[row, : len(ids)] = True
    return Batch(input_ids=input_ids, labels=labels_, attention_mask=mask)


def _denies(question: str) -> bool:
    return not {"no", "not"}.isdisjoint(question.rstrip("?").split())


def _asks_for_what_is_there(turn: Turn) -> bool:
    return (turn.answer == "yes") != _denies(turn.question) and turn.answer in ("yes", "no")


@cache
def shown_shapes(picture: int) -> frozenset[str]:
    """Which shapes, of which colours, a training picture of easy-VQA may show by its answers."""
    possible = {
        "shape": set(SHAPES),
        "colour": set(SHAPE_COLOURS),
    }
    for turn in easy_vqa_questions("train")[picture]:
        asked = set(turn.question.rstrip("?").split())
        for values in possible.values():
            if turn.answer in values:
                values.intersection_update({turn.answer})
            elif turn.answer in ("yes", "no") and asked & values:
                shown = _asks_for_what_is_there(turn)
                values.difference_update(values - asked if shown else asked)
    pairs = product(sorted(possible["colour"]), sorted(possible["shape"]))
    return frozenset(f"{colour} {shape}" for colour, shape in pairs)


@cache
def _concept_names() -> tuple[str, ...]:
    return tuple(concept.name for concept in all_concepts())


def _answerable(scene: Scene) -> list[Family]:
    return [
        family
        for family in FAMILIES
        if len(scene.concepts) in family.counts
        and (family.names_thing or family.truth(scene, "") is not None)
    ]


def _turn(family: Family, scene: Scene, random: np.random.Generator) -> Turn:
    thing = pick_thing(family, scene, _concept_names(), random)
    answer = family.truth(scene, thing)
    assert answer is not None
    question = str(random.choice(family.training)).format(thing=thing)
    return Turn(question=question, answer=answer)
