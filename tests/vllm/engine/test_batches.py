"""Requests with edits and without, in one batch, however it is scheduled."""

import pytest

from tests.vllm.engine.observing import Observer
from tests.vllm.engine.running import (
    TOKENS,
    ask,
    engine,
    logprobs,
    prompts_of,
    reference,
    sampling,
    served_layer,
    tokens,
    told,
)

# lengths do not depend on what is said, so that both engines see the same batches
FIXED = {"stop_token_ids": [], "ignore_eos": True}


@pytest.fixture(scope="module")
def made():
    return reference("llava")


def sixteen(made):
    """Four with edits, of two namespaces; eight that no edit concerns, four that want none."""
    left, right = (
        [one for one in made.of("edit", changed=True) if one["namespace"] == namespace]
        for namespace in ("left", "right")
    )
    edited = [*left[:2], *right[:2]]
    free = made.of("elsewhere", changed=False)[:4] + made.of("fact", changed=False)[:4]
    off = [*left[2:4], *right[2:4]]
    mixed = [one for four in zip(edited, free[:4], free[4:], off, strict=True) for one in four]
    return mixed, [one in edited for one in mixed], [one in off for one in mixed]


def both(llm, made, mixed, off, **options):
    params = [
        sampling(made, one, **FIXED, **options, fields={"liveedit_disabled": 1} if out else {})
        for one, out in zip(mixed, off, strict=True)
    ]
    return llm.generate(prompts_of(mixed), params, use_tqdm=False)


def test_of_sixteen_four_are_edited_and_the_others_are_bit_identical(made, capsys):
    mixed, edited, off = sixteen(made)
    with engine(made) as llm:
        with_plugin = both(llm, made, mixed, off)
    with engine(made, edits=False) as llm:
        without = ask(llm, made, mixed, **FIXED)
    untouched = 0
    for one, concerned, a, b in zip(mixed, edited, with_plugin, without, strict=True):
        if concerned:
            assert tokens(a)[: len(one["edited"])] == one["edited"]
            assert tokens(a) != tokens(b)
        else:
            assert tokens(a) == tokens(b)
            assert logprobs(a) == logprobs(b)
            untouched += 1
    told(capsys, f"{untouched} of 16 have the very tokens and log-probabilities")
    assert untouched == 12


def counted(observer, request, prompt, answer, *, again=False):
    """Each token of prompt and answer passed the layer once; the last was not read any more."""
    passed = observer.passed[observer.of(request)]
    assert set(range(prompt + answer - 1)) <= set(passed) <= set(range(prompt + answer))
    assert again or set(passed.values()) == {1}
    return passed


MODES = {
    "whole prompts": {},
    "chunked prefill asked for": {
        "enable_chunked_prefill": True,
        "long_prefill_token_threshold": 8,
    },
    "few tokens a step": {"max_num_batched_tokens": 256, "max_model_len": 256},
    "few requests a step": {"max_num_seqs": 3},
    "scheduled while the step before runs": {"async_scheduling": True},
    "one step after the other": {"async_scheduling": False},
    "no prefix cache": {"enable_prefix_caching": False},
    "preempted": {
        "max_model_len": 256,
        "num_gpu_blocks_override": 24,
        "block_size": 32,
    },
}


@pytest.mark.parametrize("mode", MODES)
def test_every_token_of_an_edited_request_passes_once_and_no_other_is_changed(made, mode, capsys):
    mixed, edited, off = sixteen(made)
    preempted = mode == "preempted"
    with engine(made, **MODES[mode]) as llm:
        observer = Observer(served_layer(llm))
        answers = both(llm, made, mixed, off, max_tokens=60 if preempted else TOKENS)
    count = 0
    for one, concerned, answer in zip(mixed, edited, answers, strict=True):
        name = observer.of(answer.request_id)
        prompt, said = len(answer.prompt_token_ids), len(tokens(answer))
        passed = counted(observer, answer.request_id, prompt, said, again=preempted)
        if concerned:
            assert observer.edited[name] == passed
            # at some tokens no slot of an expert is active, and nothing is to be added
            assert sum(observer.changed[name].values()) > 0.5 * sum(passed.values())
            assert tokens(answer)[: len(one["edited"])] == one["edited"]
            count += sum(passed.values())
        else:
            assert not any(observer.edited[name].values())
            assert not any(observer.changed[name].values())
    mixes = [
        step for step in observer.steps
        if {length == 1 for _, _, length in step} == {True, False}
    ]  # fmt: skip
    again = sum(max(passed.values()) > 1 for passed in observer.passed.values())
    told(
        capsys,
        f"{mode}: {count} edited tokens in {len(observer.steps)} steps, of which {len(mixes)} "
        f"mixed prefill and decoding; {again} requests were computed again",
    )
    if mode in ("few tokens a step", "preempted"):
        assert mixes
    assert (again > 0) is preempted


def test_several_answers_to_one_request_have_the_same_edits(made):
    one = made.of("edit", changed=True)[0]
    with engine(made, block_size=32) as llm:
        observer = Observer(served_layer(llm))
        params = sampling(made, one, n=3, temperature=1.0, top_k=1, logprobs=None)
        (answer,) = llm.generate(prompts_of([one]), [params], use_tqdm=False)
    assert [list(each.token_ids) for each in answer.outputs] == [one["edited"]] * 3
    assert len(observer.passed) == 3


def test_what_is_kept_of_a_prompt_never_crosses_from_one_kind_to_the_other(made):
    one = next(
        each for each in made.of("edit", changed=True) if len(each["question"].encode()) > 24
    )
    off = {"fields": {"liveedit_disabled": 1}}
    with engine(made, block_size=32, enable_prefix_caching=True) as llm:
        asked = [("edited", {}), ("plain", off), ("edited", {}), ("plain", off), ("edited", {})]
        answers = [(kind, *ask(llm, made, [one], **options)) for kind, options in asked]
    assert [tokens(answer) for _, answer in answers] == [one[kind] for kind, _ in answers]
    assert [answer.num_cached_tokens for _, answer in answers] == [0, 0, 0, 32, 0]
