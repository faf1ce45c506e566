import pytest
import torch
from torch import nn

from liveedit.methods.liveedit.experts import Experts, apply_experts
from liveedit.methods.liveedit.representation import StateScale, standardise
from liveedit.vllm.expert_buffers import FREE, ExpertBuffers
from liveedit.vllm.operators import add_experts, register_layer

WIDTH = 16


@pytest.fixture
def scale():
    torch.manual_seed(0)
    return StateScale(mean=torch.randn(WIDTH), deviation=torch.rand(WIDTH) + 0.5)


@pytest.fixture
def buffers():
    """Experts of three requests, of which one has gone again."""
    torch.manual_seed(1)
    made = ExpertBuffers(WIDTH, 16, torch.device("cpu"))
    for owner, slots in ((5, 12), (0, 2), (7, 9)):
        u, v = 4 * torch.randn(2, slots, WIDTH)
        made.put(owner, u, v, torch.rand(slots) + 0.1)
    made.drop(0)
    return made


def arguments(buffers, scale, hidden, residual):
    owners = torch.tensor([5, 5, 7])
    return (
        hidden, residual, torch.tensor([1, 2, 5]), owners, torch.tensor([1.0, 0.5, 1.0]),
        scale.mean, scale.deviation, buffers.u[: buffers.used], buffers.v[: buffers.used],
        buffers.weights[: buffers.used], buffers.owner[: buffers.used],
    )  # fmt: skip


@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_it_adds_what_the_transformers_path_adds(buffers, scale, apart, dtype):
    hidden = torch.randn(7, WIDTH).to(dtype)
    residual = torch.randn(7, WIDTH).to(dtype) if apart else None
    before = hidden.clone()
    add_experts(*arguments(buffers, scale, hidden, residual))
    for token, owner, share in ((1, 5, 1.0), (2, 5, 0.5), (5, 7, 1.0)):
        own = buffers.owner == owner
        experts = Experts(u=buffers.u[own][None], v=buffers.v[own][None])
        whole = before[token] if residual is None else before[token] + residual[token]
        states = standardise(whole, scale)[None, None]
        added = share * scale.unit * apply_experts(states, experts, buffers.weights[own][None])
        assert added.abs().max() > 0.1
        torch.testing.assert_close(hidden[token], before[token] + added[0, 0].to(dtype))
    for token in (0, 3, 4, 6):
        assert torch.equal(hidden[token], before[token])


def test_the_operator_is_what_pytorch_takes_it_for(buffers, scale):
    given = arguments(buffers, scale, torch.randn(7, WIDTH), torch.randn(7, WIDTH))
    torch.library.opcheck(add_experts, given)


def test_slots_that_were_freed_are_used_again_and_add_nothing():
    buffers = ExpertBuffers(WIDTH, 2, torch.device("cpu"))
    for owner in range(20):
        buffers.put(owner, torch.ones(3, WIDTH), torch.ones(3, WIDTH), torch.ones(3))
        if owner:
            buffers.drop(owner - 1)
    assert buffers.used <= 6
    assert len(buffers.owner) == 8
    assert int((buffers.owner != FREE).sum()) == 3
    buffers.drop(19)
    assert buffers.used == 0


class Doubles:
    """Stands for an edit layer: what it does cannot be traced."""

    def change(self, hidden, residual):
        hidden[: int(hidden.sum() > -1e9)] *= 2


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.below, self.above = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.below.register_forward_hook(
            lambda _module, _inputs, out: torch.ops.liveedit.edit_layer(out, None, "doubles")
        )

    def forward(self, states):
        return self.above(self.below(states))


def test_a_compiled_model_calls_the_layer_as_one_piece():
    layer = Doubles()
    register_layer("doubles", layer)
    torch.manual_seed(0)
    model, states = Model(), torch.randn(3, WIDTH)
    with torch.no_grad():
        plain = model(states)
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")(states)
        assert torch.equal(compiled, plain)
        del layer
        assert not torch.equal(model(states)[0], plain[0])
