"""vLLM answers as transformers does, with edits and without."""

from collections import Counter

import pytest

from tests.vllm.engine.running import ask, chat, engine, reference, tokens, told

# a log-probability may differ by so much, because kernels add up in another order, and because
# another library resizes pictures here
ROUNDING = 0.02


@pytest.fixture(scope="module")
def made():
    return reference("llava", corrections=100)


@pytest.fixture(scope="module")
def llm(made):
    with engine(made) as llm:
        yield llm


def compared(llm, made, kind, capsys, **options):
    """How many answers are the same; the others must turn at a token that was in doubt."""
    counts, found = Counter(), ask(llm, made, made.questions, **options)
    for one, answer in zip(made.questions, found, strict=True):
        ids, expected = tokens(answer), one[kind]
        counts["answers"] += 1
        counts["changed by an edit"] += one["edited"] != one["plain"]
        if ids == expected:
            counts["the same"] += 1
            continue
        at = next(i for i, (a, b) in enumerate(zip(ids, expected, strict=False)) if a != b)
        top = sorted((p.logprob for p in answer.outputs[0].logprobs[at].values()), reverse=True)
        told(capsys, f"{kind}: token {at} of {one['view']!r} was in doubt by {top[0] - top[1]:.4f}")
        assert top[0] - top[1] < ROUNDING, (one["question"], ids, expected)
    told(capsys, f"{kind}: {dict(counts)}")
    return counts


def test_edited_answers_are_those_of_transformers(llm, made, capsys):
    counts = compared(llm, made, "edited", capsys)
    assert counts["answers"] == 700
    assert counts["changed by an edit"] >= 100
    assert counts["the same"] >= 0.98 * counts["answers"]


def test_answers_without_edits_are_those_of_transformers(llm, made, capsys):
    counts = compared(llm, made, "plain", capsys, fields={"liveedit_disabled": 1})
    assert counts["the same"] >= 0.98 * counts["answers"]


def test_messages_make_the_same_prompts(llm, made):
    some = made.of("edit")[:8] + made.of("fact")[:8]
    prompted, spoken = ask(llm, made, some), chat(llm, made, some)
    assert [a.prompt_token_ids for a in spoken] == [a.prompt_token_ids for a in prompted]
    assert [tokens(a) for a in spoken] == [tokens(a) for a in prompted]
