"""What a sentence encoder adds to what is asked."""

from __future__ import annotations

import pytest
import torch

from liveedit.methods.liveedit.features import Similarities
from liveedit.methods.liveedit.routing import Router
from liveedit.methods.liveedit.wordings import with_wordings
from liveedit.methods.shared.sentence_encoder import encode_known, encode_questions
from liveedit.store.edit import Edit

HEAD, DOG, STREET = "What is she wearing on her head?", "What is the dog doing?", "Which street?"


def edits(*prompts: str, rephrasings: tuple[str, ...] = ()) -> list[Edit]:
    return [Edit(prompt=one, target="t", image="i", rephrasings=rephrasings) for one in prompts]


def similarities(vision: list[list[float]], prompt: float, *, sees: bool = True) -> Similarities:
    rows, columns = len(vision), len(vision[0])
    return Similarities(
        vision=torch.tensor(vision),
        sentinel=torch.zeros(rows, 1),
        prompt=torch.full((rows, columns), prompt),
        pictured=torch.full((rows, 1), sees),
        sees=torch.full((rows, columns), sees),
        alike=torch.ones(rows, columns, dtype=torch.bool),
    )


def compared(alike: Similarities, questions: list[str | None], known: list[Edit]) -> Similarities:
    everyone = torch.ones(1, len(known), dtype=torch.bool)
    crowd = torch.full((len(questions), 1), len(known))
    return with_wordings(
        Router(), alike, everyone, crowd, questions.__getitem__,
        lambda columns: [known[at] for at in columns],
    )  # fmt: skip


def test_the_cosine_of_the_words_counts_where_the_picture_nearly_passes() -> None:
    known = edits(HEAD, DOG, STREET)
    alike = similarities([[3.0, -5.9, -6.1], [-7.0, -7.0, 0.1]], 1.0)
    questions = ["What does she have on her head?", "What is the name of the street?"]
    vectors, own = encode_questions(questions), encode_questions([one.prompt for one in known])
    wanted = torch.full((2, 3), 1.0)
    for row, column in ((0, 0), (0, 1), (1, 2)):
        wanted[row, column] += 6 * (float(vectors[row] @ own[column]) - 0.5)
    found = compared(alike, list(questions), known)
    torch.testing.assert_close(found.prompt, wanted)
    assert torch.equal(found.vision, alike.vision)


def test_other_words_pass_and_another_question_does_not() -> None:
    router, known = Router(), edits(HEAD)
    everyone, crowd = torch.ones(1, 1, dtype=torch.bool), torch.ones(1, 1, dtype=torch.int64)
    for question, prompt, without in (
        ("What headwear is she wearing on her head?", -1.0, False),
        ("What breed of dog is this?", 1.0, True),
    ):
        alike = similarities([[3.0]], prompt)
        assert bool(router.decide(alike, everyone, crowd).passes) == without
        words = compared(alike, [question], known)
        assert bool(router.decide(words, everyone, crowd).passes) != without


def test_of_the_wordings_that_people_gave_the_nearest_counts() -> None:
    alike, question = similarities([[3.0]], 0.0), "Which hat is it?"
    plain = compared(alike, [question], edits(HEAD)).prompt.item()
    known = edits(HEAD, rephrasings=(DOG, "Which hat is that?"))
    assert compared(alike, [question], known).prompt.item() > plain + 1


@pytest.mark.parametrize(("question", "sees"), [(None, True), ("word " * 100, True), (HEAD, False)])
def test_what_is_no_question_about_a_picture_is_not_compared(question, sees) -> None:
    alike = similarities([[3.0]], 2.0, sees=sees)
    assert compared(alike, [question], edits(HEAD)) is alike


def test_a_known_text_is_embedded_once(monkeypatch) -> None:
    first = encode_known([HEAD, "never asked before", HEAD])
    torch.testing.assert_close(first, encode_questions([HEAD, "never asked before", HEAD]))
    asked: list[str] = []

    def counted(questions):
        asked.extend(questions)
        return encode_questions(questions)

    monkeypatch.setattr("liveedit.methods.shared.sentence_encoder.encode_questions", counted)
    again = encode_known(["never asked before", "nor was this", HEAD])
    assert asked == ["nor was this"]
    assert torch.equal(again[[2, 0]], first[:2])
