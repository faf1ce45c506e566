import torch

from liveedit.backbones.spans import Spans, find_spans
from liveedit.methods.liveedit.representation import (
    Representation,
    StateScale,
    cut,
    measure_scale,
    standardise,
)

IMAGE, PAD = 9, 0


def spans_of(rows: list[list[int]], target_lengths: list[int] | None = None) -> list[str]:
    """Each row's spans in letters: image, prompt, target, padding (_) and anything else (.)."""
    ids = torch.tensor(rows)
    mask = (ids != PAD).long()
    lengths = None if target_lengths is None else torch.tensor(target_lengths)
    spans = find_spans(ids, mask, IMAGE, lengths)
    together = torch.stack([spans.vision, spans.prompt, spans.target])
    assert together.sum(0).max() <= 1, "a position is in two spans"
    assert not (together.any(0) & (mask == 0)).any(), "padding is in a span"
    letters = []
    for row in range(len(rows)):
        found = zip(*together[:, row].tolist(), (ids[row] != PAD).tolist(), strict=True)
        letters.append(
            "".join("i" if v else "p" if p else "t" if t else ".-"[not r] for v, p, t, r in found)
        )
    return letters


def test_prompt_begins_after_the_image_or_after_the_first_token():
    rows = [[0, 0, 1, 2, 9, 9, 3, 4], [0, 0, 0, 0, 1, 2, 3, 4]]
    assert spans_of(rows) == ["--..iipp", "----.ppp"]


def test_padding_on_the_right_gives_the_same_spans():
    rows = [[1, 2, 9, 9, 3, 4, 0, 0], [1, 2, 3, 4, 0, 0, 0, 0]]
    assert spans_of(rows) == ["..iipp--", ".ppp----"]


def test_target_is_the_end_of_each_row_whatever_the_padding():
    left = [[0, 1, 9, 9, 3, 4, 5, 6], [0, 0, 0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6, 7, 8]]
    assert spans_of(left, [2, 1, 0]) == ["-.iipptt", "---.pppt", ".ppppppp"]
    right = [[1, 9, 9, 3, 4, 5, 6, 0], [1, 2, 3, 4, 5, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 8]]
    assert spans_of(right, [2, 1, 0]) == [".iipptt-", ".pppt---", ".ppppppp"]


def test_prompt_begins_after_the_last_of_several_images():
    assert spans_of([[1, 9, 9, 2, 9, 3, 4]]) == [".ii.ipp"]


def test_image_tokens_on_padding_are_no_image():
    ids, mask = torch.tensor([[IMAGE, IMAGE, 1, 2, 3]]), torch.tensor([[0, 0, 1, 1, 1]])
    spans = find_spans(ids, mask, IMAGE)
    assert not spans.vision.any()
    assert spans.prompt.tolist() == [[False, False, False, True, True]]


def test_rows_of_a_representation():
    masks = torch.eye(3, dtype=torch.bool)
    whole = Representation(
        states=torch.randn(3, 3, 2), spans=Spans(vision=masks, prompt=~masks, target=masks)
    )
    part = whole.rows(slice(1, 3))
    assert torch.equal(part.states, whole.states[1:])
    assert torch.equal(part.spans.vision, masks[1:])
    assert torch.equal(part.spans.prompt, ~masks[1:])
    assert part.lexical is None


def test_cut_moves_a_span_to_the_front_in_its_order():
    states = torch.arange(8.0).reshape(2, 4, 1)
    span = torch.tensor([[False, True, False, True], [False, False, True, False]])
    found, real = cut(states, span)
    assert real.tolist() == [[True, True], [True, False]]
    assert found[real].flatten().tolist() == [1, 3, 6]


def test_cut_of_an_empty_span_is_one_position_that_is_not_real():
    found, real = cut(torch.randn(2, 4, 3), torch.zeros(2, 4, dtype=torch.bool))
    assert found.shape == (2, 1, 3)
    assert not real.any()


def test_standardise_centres_scales_and_clips():
    scale = StateScale(mean=torch.tensor([1.0, -2.0]), deviation=torch.tensor([2.0, 0.5]))
    hidden = torch.tensor([[5.0, -2.5], [1e6, -1e6], [1.0, -2.0]], dtype=torch.bfloat16)
    found = standardise(hidden, scale)
    assert found.dtype == torch.float32
    assert found[0].tolist() == [2.0, -1.0]
    assert found[1, 0] == -found[1, 1] == found.max()
    assert found.max() < 100
    assert found[2].tolist() == [0.0, 0.0]


def test_measured_scale_leaves_outliers_out():
    torch.manual_seed(0)
    ordinary = 3 + 2 * torch.randn(500, 8)
    outliers = torch.zeros(5, 8)
    outliers[:, 2] = 4000.0  # what the first positions of many models look like
    scale = measure_scale(torch.cat([outliers, ordinary]).to(torch.float64))
    assert torch.equal(scale.mean, ordinary.mean(0))
    assert torch.equal(scale.deviation, ordinary.std(0))
    assert scale.unit == ordinary.std(0).median()


def test_measured_scale_of_a_constant_channel_can_be_divided_by():
    hidden = torch.cat([torch.randn(50, 3), torch.ones(50, 1)], 1)
    assert standardise(hidden, measure_scale(hidden)).isfinite().all()
