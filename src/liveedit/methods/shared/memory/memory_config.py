"""Settings that methods with a memory of keyed corrections share."""

from __future__ import annotations

from pydantic import Field

from liveedit.config import Config
from liveedit.methods.outcome import Supersede


class MemoryConfig(Config):
    """When an earlier edit gives way.

    Args:
        supersede: Which earlier edits a correction puts out of force: those that it contradicts
            (``same`` picture and question), ``alike`` ones as well, or ``never`` any.
        same_question: Two questions are the same if the cosine of their keys exceeds this.
        alike: Two corrections are alike, and may contradict each other, if both cosines of their
            keys, of picture and question, exceed this.
    """

    supersede: Supersede = "same"
    same_question: float = Field(default=0.95, ge=0.0, le=1.0)
    alike: float = Field(default=0.98, ge=0.0, le=1.0)
