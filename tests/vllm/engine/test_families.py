"""Families that vLLM and the project share, tiny models of their classes; trained editors."""

from collections import Counter

import pytest

from tests.vllm.engine.observing import Observer
from tests.vllm.engine.running import ask, chat, engine, reference, served_layer, tokens, told

FAMILIES = (  # test_answers has LLaVA
    "llava_next",
    "llava_onevision",
    "qwen2_vl",
    "qwen2_5_vl",
    "internvl",
    "idefics3",
    "smolvlm",
    "blip-2",
)
OPTIONS = {"blip-2": {"limit_mm_per_prompt": {"image": 1}}}  # it knows no more
ROUNDING = 0.02  # see test_answers


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_answers_as_with_transformers(family, capsys):
    made = reference(family, corrections=6)
    counts = compared(made, **OPTIONS.get(family, {}))
    told(capsys, f"{family}: {dict(counts)}")


@pytest.mark.parametrize("recipe", ["ours", "published"])
def test_a_trained_editor_answers_as_with_transformers(recipe, capsys):
    counts = compared(reference("llava", recipe=recipe))
    told(capsys, f"{recipe}: {dict(counts)}")


def compared(made, **options):
    """How many answers are the same; the others turn at a token that was in doubt."""
    counts = Counter()
    with engine(made, **options) as llm:
        observer = Observer(served_layer(llm))
        edited = ask(llm, made, made.questions)
        for answer in edited:
            passed = observer.passed[observer.of(answer.request_id)]
            assert set(range(len(answer.prompt_token_ids) + len(tokens(answer)) - 1)) <= set(passed)
            assert set(passed.values()) == {1}
        off = ask(llm, made, made.questions, fields={"liveedit_disabled": 1})
        spoken = chat(llm, made, made.questions)
    assert [a.prompt_token_ids for a in spoken] == [a.prompt_token_ids for a in edited]
    assert [tokens(a) for a in spoken] == [tokens(a) for a in edited]
    for kind, found in (("edited", edited), ("plain", off)):
        for one, answer in zip(made.questions, found, strict=True):
            ids, expected = tokens(answer), one[kind]
            counts["answers"] += 1
            counts["changed by an edit"] += kind == "edited" and one["edited"] != one["plain"]
            counts["the same"] += ids == expected
            if ids != expected:
                at = next(i for i, (a, b) in enumerate(zip(ids, expected, strict=False)) if a != b)
                top = sorted(p.logprob for p in answer.outputs[0].logprobs[at].values())[::-1]
                assert top[0] - top[1] < ROUNDING, (kind, one["question"], ids, expected)
    assert counts["changed by an edit"] >= 6
    assert counts["the same"] >= 0.95 * counts["answers"]
    return counts
