"""Settings of IKE."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from pydantic import Field

from liveedit.methods.shared.memory.memory_config import MemoryConfig


class IkeConfig(MemoryConfig):
    """How corrections are made, and with which demonstrations they are told.

    Args:
        supersede: Which earlier edits a correction puts out of force: those that it contradicts
            (``same`` picture and question), ``alike`` ones as well, or ``never`` any.
        same_question: Two questions are the same if the cosine of their keys exceeds this.
        alike: Two corrections are alike, and may contradict each other, if both cosines of their
            keys, of picture and question, exceed this.
        copies: Demonstrations that ask the fact itself.
        updates: Those that ask it in other words.
        retains: Those that ask something else, which is answered as ever.
        demonstration: How one is written; ``{prompt}`` and ``{target}`` are its fact,
            ``{question}`` and ``{answer}`` what is asked.
        question: How the correction and the question are written behind them.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType(
        {"copies": (0, 1, 2), "updates": (0, 2, 4, 8), "retains": (0, 1, 2, 4)}
    )

    copies: int = Field(default=1, ge=0, le=64)
    updates: int = Field(default=3, ge=0, le=64)
    retains: int = Field(default=4, ge=0, le=64)
    demonstration: str = "New Fact: {prompt} {target}\nPrompt: {question} {answer}\n\n"
    question: str = "New Fact: {prompt} {target}\nPrompt: {question}"
