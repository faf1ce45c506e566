"""Limits of the server."""

from __future__ import annotations

from pydantic import Field

from liveedit.config import Config


class ServeConfig(Config):
    """What one server takes on.

    Args:
        batch: Answers that are decoded together.
        waiting: Answers that may wait; more are refused with 429.
        edits_waiting: Edits, previews and revocations that may wait; more are refused with 429.
        seconds: Longest time for a request, waiting included.
        max_tokens: Longest answer a request may ask for, and what it gets by default.
        choices: Most answers to one question (``n``).
        pictures: Most pictures of a conversation.
        body: Longest request, in bytes.
        body_seconds: Longest time for sending a request.
        import_body: Longest import, in bytes, also when it is unpacked.
        log_prompts: Whether the log says what was asked and answered.
        requests_a_minute: For each key, or for each address where no keys are needed.
    """

    batch: int = Field(default=16, ge=1)
    waiting: int = Field(default=256, ge=1)
    edits_waiting: int = Field(default=64, ge=1)
    seconds: float = Field(default=120.0, gt=0)
    max_tokens: int = Field(default=512, ge=1)
    choices: int = Field(default=4, ge=1)
    pictures: int = Field(default=8, ge=0)
    body: int = Field(default=40_000_000, ge=1)
    body_seconds: float = Field(default=60.0, gt=0)
    import_body: int = Field(default=4_000_000_000, ge=1)
    requests_a_minute: int = Field(default=600, ge=1)
    log_prompts: bool = False
