"""A model that is cut over two processes, or compiled: the same answers as in one piece."""

import pytest

from tests.vllm.engine.running import (
    ask,
    compilation_counter,
    engine,
    prompts_of,
    reference,
    sampling,
    tokens,
)


def answered_as_in_one_piece(**options):
    made = reference("llava")
    questions = made.of("edit") + made.of("elsewhere")
    with engine(made, **options) as llm:
        edited = ask(llm, made, questions)
        plain = ask(llm, made, questions, fields={"liveedit_disabled": 1})
    assert [tokens(one) for one in edited] == [one["edited"] for one in questions]
    assert [tokens(one) for one in plain] == [one["plain"] for one in questions]


@pytest.fixture(autouse=True)
def no_compiled_models(tmp_path, monkeypatch):
    monkeypatch.setenv("VLLM_CACHE_ROOT", str(tmp_path))


def test_compiled():
    """By ``torch.compile``, as vLLM does on CPUs: without graphs that are played again."""
    made = reference("llava")
    questions = made.of("elsewhere")
    with engine(made, edits=False, enforce_eager=False) as llm:
        params = [sampling(made, one) for one in questions]
        for one in params:
            one.extra_args = None
        plain = llm.generate(prompts_of(questions), params, use_tqdm=False)
    assert [tokens(one) for one in plain] == [one["plain"] for one in questions]
    compiled = compilation_counter.num_aot_compiles
    answered_as_in_one_piece(enforce_eager=False)
    assert compilation_counter.num_aot_compiles == compiled + 1


def test_tensor_parallel():
    """Each worker routes by the same states, and adds the same."""
    answered_as_in_one_piece(tensor_parallel_size=2)


def test_pipeline_parallel():
    """The worker that has the edit layer does all of it.

    Compiled, because vLLM's workers for CPUs fail otherwise, with edits as without.
    """
    answered_as_in_one_piece(pipeline_parallel_size=2, enforce_eager=False)
