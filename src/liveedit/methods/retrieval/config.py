"""Settings of retrieval."""

from __future__ import annotations

from pydantic import Field

from liveedit.config import Config


class RetrievalConfig(Config):
    """How corrections are made and put before a question.

    Args:
        supersede: Put earlier edits that the correction contradicts out of force.
        same: Two corrections are about the same if both cosines of their keys, of picture and
            question, exceed this.
        with_picture: What is put before a question about a picture; ``{prompt}`` and ``{target}``
            are the correction's, ``{question}`` is what is asked.
        text_only: The same without a picture.
    """

    supersede: bool = True
    same: float = Field(default=0.98, ge=0.0, le=1.0)
    with_picture: str = "Known about this picture: {prompt} {target}. {question}"
    text_only: str = "Known: {prompt} {target}. {question}"
