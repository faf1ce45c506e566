"""Settings of retrieval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from liveedit.methods.shared.memory.memory_config import MemoryConfig


class RetrievalConfig(MemoryConfig):
    """How corrections are made and put before a question.

    Args:
        supersede: Which earlier edits a correction puts out of force: those that it contradicts
            (``same`` picture and question), ``alike`` ones as well, or ``never`` any.
        same_question: Two questions are the same if the cosine of their keys exceeds this.
        alike: Two corrections are alike, and may contradict each other, if both cosines of their
            keys, of picture and question, exceed this.
        with_picture: What is put before a question about a picture; ``{prompt}`` and ``{target}``
            are the correction's, ``{question}`` is what is asked.
        text_only: The same without a picture.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = {
        "with_picture": (
            "Known about this picture: {prompt} {target}. {question}",
            "{prompt} {target}. {question}",
            "Answer with what is known. {prompt} {target}. {question}",
        ),
    }

    with_picture: str = "Known about this picture: {prompt} {target}. {question}"
    text_only: str = "Known: {prompt} {target}. {question}"
