"""Whether two questions in other words ask for the same, by a sentence encoder.

Where a file says what its pictures show, most of its rows ask for just that: "Who is the actor
featured in this image?", "Who is the person shown?". Another row's question is then no other
question about the picture, and neither measures nor teaches what another question is answered.
"""

from __future__ import annotations

from collections.abc import Iterable

from liveedit.methods.shared.sentence_encoder import encode_questions

# nine of ten rephrasings of E-VQA's and VLKEB's training rows are nearer than 0.60 and 0.57
_ALIKE = 0.6


class AskedAlike:
    """Compares some questions with each other.

    Args:
        questions: All that will be compared.

    Raises:
        MissingExtra: The sentence encoder is not installed.
    """

    def __init__(self, questions: Iterable[str]) -> None:
        different = list(dict.fromkeys(map(_bare, questions)))
        self._row = {question: row for row, question in enumerate(different)}
        self._vectors = encode_questions(different).numpy()

    def __call__(self, one: str, other: str) -> bool:
        """Whether the two ask for the same."""
        vectors = self._vectors
        return bool(vectors[self._row[_bare(one)]] @ vectors[self._row[_bare(other)]] >= _ALIKE)


def _bare(question: str) -> str:
    """Without what a benchmark adds: "Who is it? The answer is:"."""
    return question[: question.rfind("?") + 1] or question
