"""Questions are compared by their words, too, where the store says so: as with transformers."""

import pytest

from tests.vllm.engine.running import ask, chat, engine, reference, tokens, told
from tests.vllm.engine.test_answers import ROUNDING
from tests.vllm.engine.test_families import OPTIONS


@pytest.mark.parametrize("family", ["llava", "qwen2_vl", "idefics3", "blip-2"])
def test_answers_are_those_of_transformers_that_words_were_compared_for(family, capsys):
    made = reference(family, corrections=40, words=True)
    by_words = [one for one in made.questions if one["edited"] != one["wordless"]]
    assert by_words, "else nothing is tested"
    with engine(made, **OPTIONS.get(family, {})) as llm:
        found, spoken = ask(llm, made, made.questions), chat(llm, made, by_words)
    same = 0
    for one, answer in zip(made.questions, found, strict=True):
        ids, expected = tokens(answer), one["edited"]
        same += ids == expected
        if ids != expected:
            at = next(i for i, (a, b) in enumerate(zip(ids, expected, strict=False)) if a != b)
            top = sorted(p.logprob for p in answer.outputs[0].logprobs[at].values())[::-1]
            assert top[0] - top[1] < ROUNDING, (one["question"], ids, expected)
    told(
        capsys,
        f"{family}: {len(made.questions)} answers, {len(by_words)} by words, {same} the same",
    )
    assert same >= 0.98 * len(made.questions)
    agree = [tokens(a) == one["edited"] for a, one in zip(spoken, by_words, strict=True)]
    assert sum(agree) >= 0.95 * len(by_words), "of messages, too"
