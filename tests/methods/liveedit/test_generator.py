import pytest
import torch
from torch import Tensor

from liveedit.methods.liveedit.experts import Experts, apply_experts
from liveedit.methods.liveedit.generator import (
    ExpertGenerator,
    PlainGenerator,
    TargetMemory,
    target_order,
)
from tests.batches import batch_of, random_row

WIDTH, RANK = 10, 3


def slow_residual(states: Tensor, experts: Experts, weights: Tensor) -> Tensor:
    """``sum_e w_e ReLU(h U_e^T / d) V_e``, one row, position, expert and slot after the other."""
    residual = torch.zeros_like(states)
    rows, length, width = states.shape
    for row in range(rows):
        for at in range(length):
            for e in range(weights.shape[1]):
                for slot in range(e * RANK, (e + 1) * RANK):
                    activation = torch.relu(states[row, at] @ experts.u[row, slot] / width)
                    residual[row, at] += weights[row, e] * activation * experts.v[row, slot]
    return residual


def test_residual_equals_the_equation():
    torch.manual_seed(0)
    states, weights = torch.randn(2, 4, WIDTH), torch.rand(2, 5)
    weights[0, 2] = 0
    experts = Experts(u=torch.randn(2, 5 * RANK, WIDTH), v=torch.randn(2, 5 * RANK, WIDTH))
    expected = slow_residual(states, experts, weights)
    torch.testing.assert_close(apply_experts(states, experts, weights), expected)


def test_target_order():
    target = torch.tensor(
        [[0, 0, 0, 1, 1, 1], [0, 0, 1, 1, 0, 0], [0, 0, 0, 0, 0, 0]], dtype=torch.bool
    )
    order, before = target_order(target)
    assert order.tolist() == [[-1, -1, -1, 0, 1, 2], [-1, -1, 0, 1, -1, -1], [-1] * 6]
    assert before.tolist() == [[-1, -1, 0, 1, 2, -1], [-1, 0, 1, -1, -1, -1], [-1] * 6]


@pytest.fixture
def generator() -> ExpertGenerator:
    """A generator all of whose parts matter, as after training."""
    torch.manual_seed(0)
    generator = ExpertGenerator(state_width=WIDTH, width=8, rank=RANK, heads=2)
    for parameter in generator.parameters():
        torch.nn.init.normal_(parameter)
    return generator


@pytest.fixture
def rows():
    torch.manual_seed(1)
    return [
        random_row(WIDTH, vision=vision, prompt=prompt, target=target)
        for vision, prompt, target in ((4, 3, 1), (0, 2, 3), (4, 6, 5), (4, 1, 2))
    ]


@torch.no_grad()
def test_slots_beyond_the_target_are_zero(generator, rows):
    experts = generator(batch_of(rows))
    for matrix in (experts.u, experts.v):
        assert matrix.shape == (4, 5, WIDTH)  # as many as the longest target, above the rank
        assert (matrix != 0).any(2).sum(1).tolist() == [1, 3, 5, 2]
        assert (matrix[0, 0] != 0).any()
    tokens = torch.tensor([1, 3, 5, 2])
    assert generator.slots_of(tokens).tolist() == tokens.tolist()


@torch.no_grad()
def test_slots_behind_the_rank_lead_from_the_state_before_a_token_to_that_token(generator, rows):
    experts = generator(batch_of(rows))
    row = rows[2]
    before = torch.cat([row.prompt[-1:], row.target[:-1]])
    torch.testing.assert_close(experts.u[2, RANK:], before[RANK:])
    torch.testing.assert_close(experts.v[2, RANK:], row.lexical[RANK:])


@torch.no_grad()
def test_batch_gives_what_its_rows_give(generator, rows):
    whole = generator(batch_of(rows, padding=3))
    for index, row in enumerate(rows):
        alone = generator(batch_of([row]))
        slots = alone.u.shape[1]
        torch.testing.assert_close(alone.u[0], whole.u[index, :slots])
        torch.testing.assert_close(alone.v[0], whole.v[index, :slots])
        assert not whole.u[index, slots:].any()


@torch.no_grad()
def test_untrained_slots_lead_from_the_state_before_a_token_to_that_token():
    torch.manual_seed(0)
    generator = ExpertGenerator(state_width=64, width=32, rank=RANK, heads=2)
    row = random_row(64, vision=4, prompt=3, target=2)
    experts = generator(batch_of([row]))
    before = torch.stack([row.prompt[-1], row.target[0]])
    for found, expected in ((experts.u[0, :2], before), (experts.v[0, :2], row.lexical)):
        assert torch.cosine_similarity(found, expected).min() > 0.95


def test_every_part_of_the_generator_learns(generator, rows):
    experts = generator(batch_of(rows))
    (experts.u.square().sum() + experts.v.square().sum()).backward()
    for name, parameter in generator.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_a_plain_generator_begins_as_the_map_from_states_to_embeddings():
    """Where a head looks at one position, V points at that token's embedding, U at its state."""
    torch.manual_seed(2)
    generator = PlainGenerator(state_width=WIDTH, width=16, rank=RANK, heads=2)
    states, mapping = torch.randn(200, WIDTH), torch.randn(WIDTH, WIDTH)
    before = torch.randn(200, WIDTH)
    generator.begin(before, states, states @ mapping)
    row = random_row(WIDTH, vision=0, prompt=0, target=1)
    made = generator(batch_of([row]))
    (state,) = row.target
    for slots, wanted in ((made.u[0], state), (made.v[0], state @ mapping)):
        cosines = torch.cosine_similarity(slots, wanted - wanted.mean(), dim=1)
        assert cosines.tolist() == pytest.approx([1.0] * RANK, abs=0.02)
    torch.testing.assert_close(made.v.square().mean(-1).sqrt(), torch.full((1, RANK), 3.0))


def test_a_memory_leads_from_the_state_before_each_token_to_the_token(rows):
    memory = TargetMemory()
    memory.gain.fill_(2.0)
    experts = memory(batch_of(rows, padding=2))
    assert experts.u.shape == experts.v.shape == (len(rows), 5, WIDTH)
    for at, row in enumerate(rows):
        count = len(row.target)
        before = torch.cat([row.prompt[-1:], row.target[:-1]])
        torch.testing.assert_close(experts.u[at, :count], before)
        torch.testing.assert_close(experts.v[at, :count], 2 * row.lexical)
        assert not experts.u[at, count:].any()
        assert not experts.v[at, count:].any()
    assert memory.slots_of(torch.tensor([1, 5])).tolist() == [1, 5]
