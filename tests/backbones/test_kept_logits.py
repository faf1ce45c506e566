"""Logits where they are asked for: those of a whole pass, and no more work than is wanted."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from liveedit.backbones.base import Backbone
from liveedit.backbones.kept_logits import forced_tokens, kept_logits, says_targets
from tests.backbones.families import FAMILIES, tiny

QUESTIONS = ["What is this?", "Who are you, my friend?", "Where was it made?"]
TARGETS = ["a red dog", "yes", "in Rome"]
WHOLE = {"blip-2", "minigpt4"}  # their forward has no logits_to_keep


@pytest.fixture(params=list(FAMILIES))
def backbone(request: pytest.FixtureRequest) -> Backbone:
    return tiny(request.param)


@pytest.mark.parametrize("side", ["left", "right"])
def test_they_are_those_of_a_whole_pass(backbone, pictures: list[Image.Image], side):
    query = backbone.query([pictures[0], None, pictures[1]], QUESTIONS, TARGETS, padding_side=side)
    keep = query.spans.predicts
    widths: list[int] = []
    head = backbone.model.get_output_embeddings()
    handle = head.register_forward_hook(lambda _head, given, _out: widths.append(given[0].shape[1]))
    try:
        with torch.no_grad():
            some = kept_logits(backbone, query, keep)
    finally:
        handle.remove()
    torch.testing.assert_close(some, backbone.logits(query)[keep], atol=1e-5, rtol=1e-4)
    first = int(keep.nonzero()[:, 1].min())
    assert first > 0
    length = keep.shape[1]
    assert widths == [length if backbone.family in WHOLE else length - first]


def test_what_a_model_would_say_is_said_and_nothing_else(backbone, pictures: list[Image.Image]):
    images = [pictures[0], None, pictures[1]]
    query = backbone.query(images, QUESTIONS, TARGETS)
    forced = forced_tokens(backbone, query)
    assert [len(row) for row in forced] == query.spans.target.sum(1).tolist()
    # the ids of two rows become what the model says at each place, one after the other
    said = query.input_ids.clone()
    for row in (0, 2):
        for at in query.spans.target[row].nonzero().flatten().tolist():
            query.input_ids[row, : at + 1] = said[row, : at + 1]
            said[row, at] = backbone.logits(query)[row, at - 1].argmax()
    query.input_ids[[0, 2]] = said[[0, 2]]
    untouched = bool((forced[1] == query.input_ids[1, query.spans.target[1]]).all())
    assert says_targets(backbone, query) == [True, untouched, True]
    last = int(query.spans.target[2].nonzero().max())
    query.input_ids[2, last] = (query.input_ids[2, last] + 1) % 100
    assert says_targets(backbone, query) == [True, untouched, False]
