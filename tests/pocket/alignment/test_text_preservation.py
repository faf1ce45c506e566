"""What the update may not read is what text-only chat is made of."""

from copy import deepcopy

import pytest
import torch

from liveedit.data.easy_vqa import Turn
from liveedit.pocket.alignment.conversation import tokenise
from liveedit.pocket.alignment.text_preservation import (
    ENERGY,
    TextInputs,
    keep_out,
    loudness,
    text_inputs,
)

MATRIX = "layers.1.mlp.down_proj"  # whose inputs are of very different lengths
TURNS = [
    Turn(question=question, answer="I do not know.")
    for question in ("Who are you?", "What is the capital of France?", "Tell me a joke.")
]


@pytest.fixture(scope="module")
def language_model(tiny_model):
    return deepcopy(tiny_model.model.language_model)


@pytest.fixture(scope="module")
def measured(language_model, processor) -> TextInputs:
    return text_inputs(language_model, [MATRIX], TURNS, processor.tokenizer)[MATRIX]


@pytest.fixture(scope="module")
def inputs(language_model, processor) -> torch.Tensor:
    """What the matrix reads in that chat, row after row, without padding, all of one length."""
    seen = []
    module = language_model.get_submodule(MATRIX)
    handle = module.register_forward_pre_hook(lambda _, args: seen.append(args[0][0]))
    for turn in TURNS:
        batch = tokenise([(turn,)], tokenizer=processor.tokenizer)
        language_model(input_ids=batch.input_ids)
    handle.remove()
    return torch.nn.functional.normalize(torch.cat(seen), dim=-1)


def test_strong_directions_are_orthonormal_and_carry_the_energy_just(measured, inputs):
    directions = measured.strong
    count = directions.shape[1]
    torch.testing.assert_close(directions.T @ directions, torch.eye(count), atol=1e-5, rtol=0)
    carried = (inputs @ directions).square().sum() / inputs.square().sum()
    assert carried >= ENERGY - 1e-3
    weakest = (inputs @ directions).square().sum(0).min() / inputs.square().sum()
    assert carried - weakest < ENERGY


def test_an_update_kept_out_of_them_hardly_reads_text(measured, inputs):
    name = f"model.language_model.{MATRIX}.lora_A.default.weight"
    torch.manual_seed(0)
    update = torch.nn.Parameter(torch.randn(4, inputs.shape[1]))
    before = (inputs @ update.T).square().sum()
    keep_out({name: update, "other": torch.nn.Parameter(torch.ones(2))}, {MATRIX: measured})
    after = (inputs @ update.T).square().sum()
    assert after < 2 * (1 - ENERGY) * before
    assert update.norm() > 1, "something is left that pictures can use"


def test_loudness_is_what_the_update_changes_on_text(language_model, measured, inputs):
    torch.manual_seed(0)
    weight = language_model.get_submodule(MATRIX).weight
    down, up = torch.randn(4, inputs.shape[1]), torch.randn(len(weight), 4)
    name = f"model.language_model.{MATRIX}.lora_{{}}.default.weight"
    trained = {
        name.format(part): torch.nn.Parameter(value) for part, value in (("A", down), ("B", up))
    }
    keep_out(trained, {MATRIX: measured})
    changed = inputs @ trained[name.format("A")].T @ up.T
    share = (changed.square().sum() / (inputs @ weight.T).square().sum()).sqrt()
    torch.testing.assert_close(loudness(trained, {MATRIX: measured}), share, rtol=0.02, atol=0)


def test_nothing_stays_hooked(language_model, measured):
    assert not language_model.get_submodule(MATRIX)._forward_pre_hooks
