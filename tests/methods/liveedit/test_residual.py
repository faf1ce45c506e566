from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from liveedit.backbones.base import Query
from liveedit.backbones.llava import LlavaBackbone
from liveedit.errors import UnsupportedGeneration
from liveedit.methods.liveedit.context import answer_share
from liveedit.methods.liveedit.experts import Experts, apply_experts
from liveedit.methods.liveedit.representation import (
    Representation,
    StateScale,
    measure_scale,
    standardise,
)
from liveedit.methods.liveedit.residual import RoutedExperts, edited_layer

RANK = 2


@pytest.fixture(scope="module")
def query(backbone: LlavaBackbone, pictures) -> Query:
    """Three rows; the routes below concern the middle one, with its picture, and the last."""
    return backbone.query(
        [None, pictures[0], pictures[1]], ["Who are you?", "What is this?", "Where is it now?"]
    )


@pytest.fixture(scope="module")
def scale(backbone: LlavaBackbone, query: Query) -> StateScale:
    return measure_scale(backbone.states(query)[query.attention_mask.bool()])


@pytest.fixture(scope="module")
def routed() -> RoutedExperts:
    torch.manual_seed(0)
    experts = Experts(u=4 * torch.randn(3, 4 * RANK, 64), v=4 * torch.randn(3, 4 * RANK, 64))
    weights = torch.tensor([[0, 0, 0, 0], [0.7, 0, 0.3, 0.0], [0, 0, 0, 0.9]])
    return RoutedExperts(experts=experts, weights=weights)


def layer_output(backbone: LlavaBackbone, run: Callable[[], object]) -> Tensor:
    """What leaves the edit layer in the first pass of a run."""
    found: list[Tensor] = []
    handle = backbone.layer.register_forward_hook(lambda _module, _inputs, out: found.append(out))
    try:
        run()
    finally:
        handle.remove()
    return found[0]


def generated(backbone: LlavaBackbone, query: Query, **options) -> Tensor:
    """New tokens; greedy unless the options say otherwise."""
    options = {"max_new_tokens": 6, "min_new_tokens": 6, "do_sample": False} | options
    ids = backbone.model.generate(**query.model_inputs(), **options)
    return ids[:, query.input_ids.shape[1] :]


def logits(backbone: LlavaBackbone, query: Query) -> Tensor:
    with torch.no_grad():
        return backbone.model(**query.model_inputs(), position_ids=query.position_ids).logits


def test_layer_output_carries_the_residual(backbone, query, scale, routed):
    plain = backbone.states(query)
    with edited_layer(backbone.hook, query.spans, scale, lambda _: routed):
        found = layer_output(backbone, lambda: logits(backbone, query))
    residual = apply_experts(standardise(plain, scale), routed.experts, routed.weights)
    torch.testing.assert_close(found, plain + scale.deviation.median() * residual)


def test_less_is_added_to_the_answer_behind_a_long_prompt(
    backbone, pictures, scale, routed, monkeypatch
):
    monkeypatch.setattr("liveedit.methods.liveedit.context._SHORT", 2)
    query = backbone.query(
        [None, pictures[0], pictures[1]],
        ["Who are you?", "What is this?", "Where is it now?"],
        ["nobody", "a lamp", "at home"],
    )
    plain = backbone.states(query)
    with edited_layer(backbone.hook, query.spans, scale, lambda _: routed, context=0.5):
        found = layer_output(backbone, lambda: logits(backbone, query))
    residual = apply_experts(standardise(plain, scale), routed.experts, routed.weights)
    share = answer_share(query.spans, 0.5)
    assert query.spans.target.any()
    assert (share[query.spans.target] < 1).all()
    assert (share[~query.spans.target] == 1).all()
    expected = plain + scale.deviation.median() * share[..., None] * residual
    torch.testing.assert_close(found, expected)


def test_rows_with_zero_weights_are_bit_identical(backbone, query, scale, routed):
    before = logits(backbone, query)
    with edited_layer(backbone.hook, query.spans, scale, lambda _: routed):
        after = logits(backbone, query)
    assert torch.equal(after[0], before[0])
    assert not torch.allclose(after[1], before[1])
    assert not torch.allclose(after[2], before[2])


def test_experts_without_weight_do_not_count(backbone, query, scale, routed):
    hidden = backbone.states(query)
    kept = RoutedExperts(
        experts=Experts(u=routed.experts.u[:, RANK:], v=routed.experts.v[:, RANK:]),
        weights=routed.weights[:, 1:],
    )
    padded = RoutedExperts(
        experts=routed.experts, weights=routed.weights * torch.tensor([0.0, 1, 1, 1])
    )
    torch.testing.assert_close(kept.add_to(hidden, scale), padded.add_to(hidden, scale))


def test_some_rows_carry_what_they_carry_in_the_batch(backbone, query, scale, routed):
    hidden, which = backbone.states(query), torch.tensor([2, 0])
    some = routed.rows(which)
    torch.testing.assert_close(
        some.add_to(hidden[which], scale), routed.add_to(hidden, scale)[which]
    )
    assert torch.equal(some.weights, routed.weights[which])


def test_hidden_states_keep_their_dtype(backbone, query, scale, routed):
    hidden = backbone.states(query).bfloat16()
    found = routed.add_to(hidden, scale)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found[0], hidden[0])
    assert not torch.equal(found[1], hidden[1])


def test_no_route_changes_nothing(backbone, query, scale):
    before = logits(backbone, query)
    with edited_layer(backbone.hook, query.spans, scale, lambda _: None):
        assert torch.equal(logits(backbone, query), before)


def test_layer_is_itself_again_afterwards(backbone, query, scale, routed):
    before = logits(backbone, query)
    with edited_layer(backbone.hook, query.spans, scale, lambda _: routed):
        logits(backbone, query)
    assert torch.equal(logits(backbone, query), before)


def test_layer_is_itself_again_after_an_exception(backbone, query, scale, routed):
    def fail(_: Representation) -> RoutedExperts:
        raise ZeroDivisionError

    before = logits(backbone, query)
    with (
        pytest.raises(ZeroDivisionError),
        edited_layer(backbone.hook, query.spans, scale, fail),
    ):
        logits(backbone, query)
    with (
        pytest.raises(KeyboardInterrupt),
        edited_layer(backbone.hook, query.spans, scale, lambda _: routed),
    ):
        raise KeyboardInterrupt
    assert torch.equal(logits(backbone, query), before)


def test_routed_once_at_prefill_from_the_states_of_the_edit_layer(backbone, query, scale, routed):
    read: list[Representation] = []

    def choose(representation: Representation) -> RoutedExperts:
        read.append(representation)
        return routed

    with edited_layer(backbone.hook, query.spans, scale, choose):
        generated(backbone, query)
    (representation,) = read
    torch.testing.assert_close(representation.states, standardise(backbone.states(query), scale))
    assert torch.equal(representation.spans.prompt, query.spans.prompt)


def test_every_decoded_token_carries_the_residual(backbone, query, scale, routed):
    """With a cache each step sees one token, without one the whole sequence: the same comes out."""
    answers = []
    for use_cache in (True, False):
        with edited_layer(backbone.hook, query.spans, scale, lambda _: routed):
            answers.append(generated(backbone, query, use_cache=use_cache))
    assert torch.equal(*answers)
    plain = generated(backbone, query)
    assert torch.equal(answers[0][0], plain[0])
    assert not torch.equal(answers[0][1:], plain[1:])


def test_beams_share_the_route_of_their_query(backbone, query, scale, routed):
    """A batch with beams gives what its rows give one at a time."""
    read: list[Representation] = []

    def choose(representation: Representation) -> RoutedExperts:
        read.append(representation)
        return routed

    with edited_layer(backbone.hook, query.spans, scale, choose):
        together = generated(backbone, query, num_beams=3)
    torch.testing.assert_close(read[0].states, standardise(backbone.states(query), scale))
    plain = generated(backbone, query, num_beams=3)
    assert torch.equal(together[0], plain[0])
    assert not torch.equal(together[1:], plain[1:])

    with edited_layer(backbone.hook, query.spans, scale, lambda _: routed):
        hidden = layer_output(backbone, lambda: generated(backbone, query, num_beams=3))
    with edited_layer(backbone.hook, query.spans, scale, lambda _: routed):
        single = layer_output(backbone, lambda: generated(backbone, query))
    torch.testing.assert_close(hidden, single.repeat_interleave(3, 0))


def test_chunked_prefill_is_refused(backbone, query, scale, routed):
    with (
        edited_layer(backbone.hook, query.spans, scale, lambda _: routed),
        pytest.raises(UnsupportedGeneration, match="prefill_chunk_size"),
    ):
        generated(backbone, query, prefill_chunk_size=4)


def test_prompt_that_a_cache_already_holds_in_part_is_refused(backbone, query, scale, routed):
    with torch.no_grad():
        start = backbone.model(
            input_ids=query.input_ids[:1, :3], attention_mask=query.attention_mask[:1, :3]
        )
    with (
        edited_layer(backbone.hook, query.spans.rows(slice(1)), scale, lambda _: routed),
        pytest.raises(UnsupportedGeneration),
    ):
        backbone.model(
            input_ids=query.input_ids[:1, 3:],
            attention_mask=query.attention_mask[:1],
            past_key_values=start.past_key_values,
        )


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_another_number_of_rows_is_refused(backbone, query, scale, routed, rows):
    with (
        edited_layer(backbone.hook, query.spans, scale, lambda _: routed),
        pytest.raises(UnsupportedGeneration),
    ):
        backbone.model(input_ids=query.input_ids[:1].expand(rows, -1))
