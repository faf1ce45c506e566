"""What the slots are taught, and that they learn it."""

import numpy as np
import pytest
import torch

from liveedit.data.easy_vqa import easy_vqa_questions
from liveedit.data.emoji_edit.scene import Placement, arrange
from liveedit.pocket.alignment.conversation import shown_shapes
from liveedit.pocket.alignment.pictures import TrainingPicture, training_pictures
from liveedit.pocket.alignment.styles import unnamed_drawings
from liveedit.pocket.alignment.vision_stage import (
    VisionStageConfig,
    covered_cells,
    losses_of,
    teach_sight,
    truth,
)
from liveedit.pocket.codebook import COLOURS, ENTRIES, NOTHING
from liveedit.pocket.slots import Seen
from liveedit.pocket.tower import PocketVisionConfig, PocketVisionModel
from liveedit.training.loop import LoopConfig


def test_covered_cells_are_those_under_the_thing():
    corner = Placement(concept="dog", drawing="openmoji", x=32, y=32, size=64)
    assert covered_cells(corner, 16).tolist() == [1] + [0] * 15
    between = Placement(concept="dog", drawing="openmoji", x=128, y=64, size=64)
    cover = covered_cells(between, 16)
    assert cover.nonzero().flatten().tolist() == [1, 2, 5, 6]
    assert cover.max() == 0.25


def test_truth_names_every_thing_from_the_left_and_the_ground():
    random = np.random.default_rng(0)
    pair = TrainingPicture(scene=arrange(("dog", "apple"), ("openmoji",) * 2, random))
    unnamed = TrainingPicture(
        scene=arrange((next(iter(unnamed_drawings())),), ("twemoji",), random)
    )
    shape = TrainingPicture(easy_vqa=0)  # a blue rectangle
    known = truth([pair, unnamed, shape])

    def right(row: int, thing: int) -> set[str]:
        return {ENTRIES[i] for i in known.entries[row, thing].nonzero().flatten().tolist()}

    assert [right(0, thing) for thing in range(3)] == [{"dog"}, {"apple"}, {NOTHING}]
    assert right(1, 0) == set(ENTRIES)  # no name is wrong, so none is taught
    assert right(1, 1) == right(2, 1) == {NOTHING}
    assert right(2, 0) == {"blue rectangle"}
    assert COLOURS[known.ground[0]] == pair.scene.ground
    assert known.ground[2] == -100
    assert known.cover[0].sum(-1).allclose(torch.ones(64))
    assert known.cover[0, :, 1].nonzero().max() % 8 <= known.cover[0, :, 2].nonzero().max() % 8
    assert not known.cover[2].any()


@pytest.mark.parametrize("picture", [0, 7, 1234])
def test_shapes_agree_with_every_answer(picture):
    for shown in shown_shapes(picture):
        for turn in easy_vqa_questions("train")[picture]:
            asked = turn.question.rstrip("?").split()
            if turn.answer in ("yes", "no"):
                denied = "no" in asked or "not" in asked
                holds = bool(set(asked) & set(shown.split()))
                assert (holds != denied) == (turn.answer == "yes")
            else:
                assert turn.answer in shown.split()


def test_losses_are_those_of_the_equations():
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    pictures = [
        TrainingPicture(scene=arrange((name,), (drawing,), random))
        for drawing in ("openmoji", "twemoji")
        for name in ("dog", "apple")
    ]
    known = truth(pictures)
    embeddings = torch.nn.functional.normalize(torch.randn(4, 3, 8), dim=-1)
    logits = torch.randn(4, 3, len(ENTRIES))
    seen = Seen(
        assignment=torch.randn(4, 64, 4),
        pooled=torch.randn(4, 4, 8),
        embeddings=torch.randn(4, 3, 8),
        things=torch.randn(4, 3, len(ENTRIES) - 1),
        present=torch.rand(4, 3),
        ground=torch.randn(4, len(COLOURS)),
    )
    cells = names = ground = hands = 0.0
    for row, picture in enumerate(pictures):
        for cell in range(64):
            p = seen.assignment[row, cell].softmax(0)
            cells -= (known.cover[row, cell] * p.log()).sum().item() / (4 * 64)
        for thing, name in enumerate([picture.scene.concepts[0], NOTHING, NOTHING]):
            p = logits[row, thing].softmax(0)
            names -= p[ENTRIES.index(name)].log().item() / (4 * 3)
        ground -= seen.ground[row].log_softmax(0)[COLOURS.index(picture.scene.ground)].item() / 4
    for one, other in ((0, 2), (1, 3), (2, 0), (3, 1)):
        among = (2, 3) if one < 2 else (0, 1)
        alike = torch.stack([20 * embeddings[one, 0] @ embeddings[i, 0] for i in among])
        hands -= alike.log_softmax(0)[among.index(other)].item() / 4
    found = losses_of(seen, embeddings, logits, known, pairs=2)
    expected = {"cells": cells, "names": names, "ground": ground, "hands": hands}
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        expected, rel=1e-4
    )


def test_slots_learn_and_the_convolutions_stay(tmp_path):
    pictures = list(
        training_pictures(variations=1, unnamed=1, pairs=4, triples=4, easy_vqa_pictures=4, seed=0)
    )
    torch.manual_seed(0)
    tower = PocketVisionModel(PocketVisionConfig(width=0.5, depth=0.5, channels=40, context=16))
    before = {name: value.clone() for name, value in tower.named_parameters()}
    cells = torch.randn(len(pictures), 64, tower.backbone.narrow)
    config = VisionStageConfig(
        loop=LoopConfig(steps=12, learning_rate=1e-2, warmup=1),
        pairs_of_hands=4,
        scenes=2,
        easy_vqa=2,
    )
    teach_sight(tower, pictures, cells, config, tmp_path)
    changed = {name for name, value in tower.named_parameters() if not value.equal(before[name])}
    assert {"backbone.head.weight", "slots.assign.weight", "slots.colour.weight"} <= changed
    later = ("slots.project", "slots.means", "slots.variances", "slots.open")
    assert not any(n.startswith(("backbone.blocks", "backbone.stem", *later)) for n in changed)
    assert not tower.training
