"""Neurons against literal sums, where they are silent, and what one neuron a token can do."""

import math

import pytest
import torch

from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.errors import MethodCannot
from liveedit.methods.shared.feed_forward.network import UpperPass
from liveedit.methods.tp import fitting
from liveedit.methods.tp.config import TpConfig
from liveedit.methods.tp.fitting import fit_neurons
from liveedit.methods.tp.memory import ABOUT_A_PICTURE, ABOUT_NOTHING, memory_of
from liveedit.methods.tp.method import TransformerPatcher
from liveedit.methods.tp.neurons import Neurons, patched
from tests.backbones.families import tiny
from tests.methods.samples import ASKED, FACT, logits_of, plain_logits

CONFIG = TpConfig(rate=0.1, memory=10.0, steps=60)


def test_neurons_equal_a_literal_sum_and_are_silent_below_zero() -> None:
    torch.manual_seed(0)
    entered, left = torch.randn(2, 4, 3), torch.randn(2, 4, 3)
    edits = [
        {"key": torch.randn(n, 3), "bias": torch.randn(n), "value": torch.randn(n, 3)}
        for n in (2, 1)
    ]
    where = torch.tensor([[False, True, True, True], [True, True, False, True]])
    rows = [[edits[0], edits[1]], [edits[1]]]
    found = patched(entered, left, Neurons.of(rows, 3), where)
    silent = 0
    for row, token in ((row, token) for row in range(2) for token in range(4)):
        expected = left[row, token].clone()
        for edit in rows[row] if where[row, token] else []:
            for key, bias, value in zip(edit["key"], edit["bias"], edit["value"], strict=True):
                expected += max(float(entered[row, token] @ key + bias), 0.0) * value
        torch.testing.assert_close(found[row, token], expected)
        if torch.equal(expected, left[row, token]):
            assert torch.equal(found[row, token], left[row, token])
            silent += 1
    assert 0 < silent < 8
    assert torch.equal(patched(entered, left, Neurons.of([[], []], 3), where), left)


def test_losses_equal_slow_ones(pictures) -> None:
    backbone = tiny("llava")
    network = TransformerPatcher(backbone).network
    query = backbone.query(pictures[:2], [ASKED, FACT], ["wo", "z"])
    batch = UpperPass(network, query)
    torch.manual_seed(0)
    own, real = fitting._own_tokens(batch)
    neurons = Neurons(key=torch.randn(2, 4, 64) / 8, bias=torch.randn(2, 4),
                      value=torch.randn(2, 4, 64))  # fmt: skip
    memory = torch.randn(2, 9, 64)
    memory[1, 7:] = torch.nan
    config = TpConfig(activation=0.7, memory=0.3, silence=0.4, hardest=4)
    with torch.no_grad():
        logits = batch.logits(lambda _entered, _left: None)
        found = fitting._losses(batch, logits, neurons, own, real,
                                fitting._elsewhere(neurons, memory), memory, config)  # fmt: skip
    assert real.sum(1).tolist() == [4, 3]
    at = 0
    for row, count in enumerate((4, 3)):
        total = 0.0
        for number in range(count):
            word = int(batch.words[at])
            total -= float(logits[at].log_softmax(-1)[word])
            at += 1
            key, bias = neurons.key[row, number], float(neurons.bias[row, number])
            here = float(own[row, number] @ key) + bias
            others = [float(m @ key) + bias for m in memory[row] if not m.isnan().any()]
            hardest = sorted(others)[-4:]
            total += 0.7 * math.exp(-here)
            total += 0.3 * sum(math.exp(one + 0.4) for one in hardest) / 4
            total += 0.3 * sum(math.exp(one - here + 0.4) for one in hardest) / 4
        assert found[row].item() == pytest.approx(total / count, rel=1e-4)


def test_a_neuron_a_token_gives_the_target_and_is_silent_at_other_questions(pictures) -> None:
    model = EditedModel(TransformerPatcher(tiny("llava"), CONFIG))
    made = model.edit(pictures[0], ASKED, "wo")
    assert made.reached
    assert model.generate(pictures[0], ASKED, max_new_tokens=8) == "wo"
    taken = model.store.pool().take(None)
    assert [tensor[0].shape for tensor in taken.values()] == [(4, 64), (4,), (4, 64)]
    for question in ABOUT_A_PICTURE:
        plain = plain_logits(model, pictures[0], question)
        assert torch.equal(logits_of(model, pictures[0], question), plain)
    for question in ABOUT_NOTHING:
        assert torch.equal(logits_of(model, None, question), plain_logits(model, None, question))


def test_without_the_memory_loss_neurons_are_heard_elsewhere(pictures) -> None:
    backbone = tiny("llava")
    correction = Correction(image=pictures[0], prompt=ASKED, target="wo")
    loud = []
    for weight in (0.0, 10.0):
        method = TransformerPatcher(backbone, CONFIG.model_copy(update={"memory": weight}))
        query = backbone.query([correction.image], [correction.prompt], [correction.target])
        memory = memory_of(method.network, [correction])
        fitted = fit_neurons(UpperPass(method.network, query), memory, method.config)
        loud.append(float(fitting._elsewhere(fitted.neurons, memory).max()))
    assert loud[0] > 0 > loud[1]


def test_what_it_cannot_edit_is_refused() -> None:
    with pytest.raises(MethodCannot, match="edit layer 7 of tiny-llava; give one of 0 to 4"):
        TransformerPatcher(tiny("llava"), TpConfig(layer=7))
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        TpConfig(hardest=0)


def test_a_saved_model_comes_back_with_its_settings(tmp_path) -> None:
    one = TransformerPatcher(tiny("llava"), CONFIG)
    one.save(tmp_path)
    assert TransformerPatcher.load(tiny("llava"), tmp_path).config == CONFIG
