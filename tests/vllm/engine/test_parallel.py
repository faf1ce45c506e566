"""A model that is cut over two processes: each routes by the same states, and adds the same."""

from tests.vllm.engine.running import ask, engine, reference, tokens


def test_two_workers_answer_as_one():
    made = reference("llava")
    questions = made.of("edit") + made.of("elsewhere")
    with engine(made, tensor_parallel_size=2) as llm:
        edited = ask(llm, made, questions)
        plain = ask(llm, made, questions, fields={"liveedit_disabled": 1})
    assert [tokens(one) for one in edited] == [one["edited"] for one in questions]
    assert [tokens(one) for one in plain] == [one["plain"] for one in questions]
