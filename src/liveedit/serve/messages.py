"""A job's conversation as OpenAI's interface takes it, its pictures in the messages themselves."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

from PIL import Image

from liveedit.correction.images import as_sequence
from liveedit.serve.jobs import Job

_FAST = 1  # level of compression: pixels are kept whatever it is


def messages_of(job: Job) -> list[Any]:
    """Messages in their order; the last asks the question about the pictures that are left."""
    pictures = iter(as_sequence(job.pictures))
    before = [
        {"role": one["role"], "content": [_part(part, pictures) for part in one["content"]]}
        for one in job.history
    ]
    shown = [_shown(picture) for picture in pictures]
    return [*before, {"role": "user", "content": [*shown, {"type": "text", "text": job.prompt}]}]


def _part(part: dict[str, Any], pictures: Iterator[Image.Image]) -> dict[str, Any]:
    return _shown(next(pictures)) if part["type"] == "image" else dict(part)


def _shown(picture: Image.Image) -> dict[str, Any]:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=_FAST)
    encoded = base64.b64encode(file.getvalue()).decode()
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded}"}}
