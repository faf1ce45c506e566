"""What the update may not read is what text-only chat is made of."""

from copy import deepcopy

import pytest
import torch

from liveedit.pocket.alignment.conversation import Turn, tokenise
from liveedit.pocket.alignment.silence import ENERGY, keep_out, text_directions

MATRIX = "layers.1.mlp.up_proj"
TURNS = [
    Turn(question=question, answer="I do not know.")
    for question in ("Who are you?", "What is the capital of France?", "Tell me a joke.")
]


@pytest.fixture(scope="module")
def language_model(tiny_model):
    return deepcopy(tiny_model.model.language_model)


@pytest.fixture(scope="module")
def directions(language_model, processor) -> torch.Tensor:
    return text_directions(language_model, [MATRIX], TURNS, processor.tokenizer)[MATRIX]


@pytest.fixture(scope="module")
def inputs(language_model, processor) -> torch.Tensor:
    """What the matrix reads in that chat, row after row, without padding."""
    seen = []
    module = language_model.get_submodule(MATRIX)
    handle = module.register_forward_pre_hook(lambda _, args: seen.append(args[0][0]))
    for turn in TURNS:
        batch = tokenise(
            [(turn,)],
            with_image=[False],
            tokenizer=processor.tokenizer,
            image_tokens=0,
            image_token_id=-1,
        )
        language_model(input_ids=batch.input_ids)
    handle.remove()
    return torch.cat(seen)


def test_directions_are_orthonormal_and_carry_the_energy_just(directions, inputs):
    count = directions.shape[1]
    torch.testing.assert_close(directions.T @ directions, torch.eye(count), atol=1e-5, rtol=0)
    carried = (inputs @ directions).square().sum() / inputs.square().sum()
    assert carried >= ENERGY - 1e-3
    weakest = (inputs @ directions).square().sum(0).min() / inputs.square().sum()
    assert carried - weakest < ENERGY


def test_an_update_kept_out_of_them_hardly_reads_text(directions, inputs):
    name = f"model.language_model.{MATRIX}.lora_A.default.weight"
    torch.manual_seed(0)
    update = torch.nn.Parameter(torch.randn(4, inputs.shape[1]))
    before = (inputs @ update.T).square().sum()
    keep_out({name: update, "other": torch.nn.Parameter(torch.ones(2))}, {MATRIX: directions})
    after = (inputs @ update.T).square().sum()
    assert after < 2 * (1 - ENERGY) * before
    assert update.norm() > 1, "something is left that pictures can use"


def test_nothing_stays_hooked(language_model, directions):
    assert not language_model.get_submodule(MATRIX)._forward_pre_hooks
