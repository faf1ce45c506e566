import pytest
import torch
from torch import Tensor

from liveedit.methods.liveedit.attention import CrossAttention

BATCH, QUERIES, LENGTH, WIDTH, HEADS = 3, 4, 6, 8, 2


def slow(
    attention: CrossAttention, queries: Tensor, context: Tensor, mask: Tensor, bias: Tensor | None
) -> Tensor:
    """``softmax(x W_q (y W_k)^T / sqrt(d)) y W_v``, one query and one head after the other."""
    d = WIDTH // HEADS
    rows = []
    for row in range(len(queries)):
        allowed = [at for at in range(context.shape[1]) if mask[row, at]]
        for query in range(queries.shape[1]):
            heads = []
            for head in range(HEADS):
                part = slice(head * d, (head + 1) * d)
                x = attention.query(queries[row, query])[part]
                keys = [attention.key(context[row, at])[part] for at in allowed]
                values = [attention.value(context[row, at])[part] for at in allowed]
                scores = [x @ key / d**0.5 for key in keys]
                if bias is not None:
                    scores = [
                        s + bias[row, query, at] for s, at in zip(scores, allowed, strict=True)
                    ]
                if not allowed:
                    heads.append(torch.zeros(d))
                    continue
                weights = torch.tensor(scores).softmax(0)
                heads.append(sum(w * value for w, value in zip(weights, values, strict=True)))
            rows.append(attention.output(torch.cat(heads)))
    return torch.stack(rows).unflatten(0, (len(queries), -1))


@pytest.fixture
def attention() -> CrossAttention:
    torch.manual_seed(0)
    return CrossAttention(5, 7, WIDTH, 3, HEADS)


@pytest.fixture
def inputs() -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(1)
    mask = torch.rand(BATCH, LENGTH) < 0.6
    mask[0], mask[1], mask[2, 0] = True, False, False
    mask[2, 3] = True
    return torch.randn(BATCH, QUERIES, 5), torch.randn(BATCH, LENGTH, 7), mask


@torch.no_grad()
@pytest.mark.parametrize("biased", [False, True])
def test_equals_the_equation(attention, inputs, biased):
    bias = 4 * torch.randn(BATCH, QUERIES, LENGTH) if biased else None
    found = attention(*inputs, bias)
    assert found.shape == (BATCH, QUERIES, 3)
    torch.testing.assert_close(found, slow(attention, *inputs, bias))


@torch.no_grad()
def test_row_without_any_position_gives_the_outputs_bias(attention, inputs):
    found = attention(*inputs)
    assert torch.equal(found[1], attention.output.bias.expand(QUERIES, -1))


@torch.no_grad()
def test_masked_positions_make_no_difference(attention, inputs):
    queries, context, mask = inputs
    changed = torch.where(mask[..., None], context, 50.0)
    assert torch.equal(attention(queries, context, mask), attention(queries, changed, mask))


@torch.no_grad()
@pytest.mark.parametrize("row", [0, 1, 2])
@pytest.mark.parametrize("biased", [False, True])
def test_one_context_stands_for_all_rows(attention, inputs, row, biased):
    queries, context, mask = inputs
    bias = 4 * torch.randn(BATCH, QUERIES, LENGTH) if biased else None
    one = context[[row]], mask[[row]]
    each = context[[row] * BATCH], mask[[row] * BATCH]
    found = attention(queries, *one, bias)
    torch.testing.assert_close(found, attention(queries, *each, bias))
    torch.testing.assert_close(found, slow(attention, queries, *each, bias))


def test_gradients_are_finite_where_nothing_may_be_looked_at(attention, inputs):
    attention(*inputs).square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in attention.parameters())
