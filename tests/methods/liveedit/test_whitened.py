import pytest
import torch
from torch import Tensor

from liveedit.methods.liveedit.whitened import (
    PICTURE_PARTS,
    QUESTION_PARTS,
    PooledStates,
    WhitenedStates,
    Whitening,
)
from tests.batches import Row, batch_of, random_row

WIDTH, FEATURES = 10, 6
SIZES = ((4, 3, 1), (0, 2, 3), (7, 1, 0))  # tokens of picture, prompt and target


@pytest.fixture
def rows() -> list[Row]:
    torch.manual_seed(0)
    return [random_row(WIDTH, vision=v, prompt=p, target=t) for v, p, t in SIZES]


@pytest.fixture
def extractor() -> WhitenedStates:
    torch.manual_seed(1)
    extractor = WhitenedStates(state_width=WIDTH, width=FEATURES)
    for buffer in extractor.buffers():
        buffer.normal_()
    return extractor


def slow_pooled(row: Row) -> tuple[Tensor, Tensor]:
    picture = torch.zeros(PICTURE_PARTS * WIDTH)
    if len(row.vision):
        channels = [[float(token[c]) for token in row.vision] for c in range(WIDTH)]
        parts = [[sum(c) / len(c), max(c), min(c)] for c in channels]
        picture = torch.tensor(parts).T.flatten()
    question = torch.cat([row.prompt[-1], sum(row.prompt) / len(row.prompt)])
    return picture, question


@pytest.mark.parametrize("padding", [0, 3])
def test_states_are_pooled_span_by_span(rows, padding):
    pooled = PooledStates.of(batch_of(rows, padding=padding))
    for at, row in enumerate(rows):
        picture, question = slow_pooled(row)
        torch.testing.assert_close(pooled.picture[at], picture)
        torch.testing.assert_close(pooled.question[at], question)
    assert pooled.sees.tolist() == [True, False, True]
    assert pooled.length.tolist() == [3, 2, 1]
    assert pooled.question.shape[1] == QUESTION_PARTS * WIDTH


def test_batches_are_joined_and_taken_apart(rows):
    one, two = PooledStates.of(batch_of(rows[:1])), PooledStates.of(batch_of(rows[1:]))
    back = PooledStates.join([one, two]).take(torch.tensor([2, 0]))
    torch.testing.assert_close(back.picture, torch.cat([two.picture[1:], one.picture]))
    torch.testing.assert_close(back.question, torch.cat([two.question[1:], one.question]))
    assert back.length.tolist() == [1, 3]
    assert back.sees.tolist() == [True, True]


def test_whitened_vectors_are_unit_vectors_along_the_directions():
    torch.manual_seed(2)
    whitening, vectors = Whitening(5, 4), torch.randn(3, 5)
    centre, directions = torch.randn(5), torch.randn(5, 2)
    whitening.set(centre, directions)
    along = (vectors - centre) @ directions
    expected = along / along.norm(dim=1, keepdim=True)
    torch.testing.assert_close(whitening(vectors)[:, :2], expected)
    assert not whitening(vectors)[:, 2:].any()


def test_features_do_not_depend_on_the_batch_nor_on_the_target(rows, extractor):
    together = extractor(batch_of(rows, padding=2))
    for at, row in enumerate(rows):
        alone = extractor(batch_of([Row(row.vision, row.prompt, row.target[:0], row.lexical[:0])]))
        torch.testing.assert_close(together.vision[at], alone.vision[0])
        torch.testing.assert_close(together.prompt[at], alone.prompt[0])
    assert together.vision.norm(dim=1).tolist() == pytest.approx([1, 0, 1])
    assert not together.sentinel.any()
    assert together.prompt.norm(dim=1).tolist() == pytest.approx([1, 1, 1])
