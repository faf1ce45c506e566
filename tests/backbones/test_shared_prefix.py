"""What stands before several questions is computed once, and is what it would be for each alone."""

import pytest
import torch

from liveedit.backbones.shared_prefix import states_by_picture
from tests.backbones.families import FAMILIES, tiny

QUESTIONS = ["What is this?", "Who made the thing in the picture, and when?", "Why?", "Who?"]


def counted(backbone, monkeypatch) -> list[int]:
    """Tokens of each pass."""
    passes: list[int] = []
    forward = type(backbone).forward

    def counting(self, query, **options):
        passes.append(query.input_ids.numel())
        return forward(self, query, **options)

    monkeypatch.setattr(type(backbone), "forward", counting)
    return passes


@pytest.mark.parametrize("family", FAMILIES)
def test_states_are_those_of_whole_passes(family, pictures, monkeypatch) -> None:
    backbone = tiny(family)
    first, second = pictures[:2]
    shown = [first, first, second, first]
    passes = counted(backbone, monkeypatch)
    query, states = states_by_picture(backbone, shown, QUESTIONS)
    expected = backbone.states(query)
    real = query.attention_mask.bool()
    torch.testing.assert_close(states[real], expected[real], atol=1e-4, rtol=1e-4)
    assert torch.equal(query.spans.prompt.sum(1) > 0, torch.ones(4, dtype=torch.bool))
    shared, whole = sum(passes[:-1]), passes[-1]
    if backbone.looks_back:
        assert len(passes) == 3
        assert shared < whole
    else:
        assert shared == whole


def test_pictures_of_different_lengths_and_none_are_read_whole(backbone, pictures) -> None:
    for shown in ([pictures[0], None], [None, None], [pictures[:2], pictures[:2]]):
        query, states = states_by_picture(backbone, shown, QUESTIONS[:2])
        assert torch.equal(states, backbone.states(query))
