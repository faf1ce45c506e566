import numpy as np
import pytest

from liveedit.data.rewording import reworded, reworded_as_typed


def all_of(question: str, times: int = 400) -> set[str]:
    random = np.random.default_rng(0)
    return {reworded(question, random) for _ in range(times)}


@pytest.mark.parametrize(
    ("question", "among", "kept"),
    [
        ("How many dogs are there?", "Count the dogs there.", "dogs"),
        ("What color is the man's hat?", "Name the color of the man's hat.", "the man's hat"),
        ("What kind of bread is this?", "Which type of bread is this?", "bread is this"),
        ("What is the name of the lake?", "I wonder what the name of the lake is.", "name of the"),
        ("What is this?", "Do you know what this is?", "this"),
        ("Where is the ball?", "Tell me where the ball is.", "the ball"),
        ("Who made this?", "I need to know who made this.", "made this"),
        ("What city does he live in?", "Which city does he live in?", "city does he live in"),
        ("Is it sunny?", "Quick question: Is it sunny?", "Is it sunny?"),
        ("a photo of", "Continue: a photo of", "a photo of"),
    ],
)
def test_the_question_in_other_words(question: str, among: str, kept: str) -> None:
    found = all_of(question)
    assert among in found
    assert question not in found
    assert all(kept in sentence for sentence in found)
    assert not any("{" in s or "[" in s or "  " in s or ".." in s or "?." in s for s in found)


def test_the_same_random_numbers_give_the_same_words() -> None:
    first, second = (
        [reworded_as_typed("Who made this?", np.random.default_rng(at)) for at in range(9)]
        for _ in range(2)
    )
    assert first == second
    assert len(set(first)) > 3
