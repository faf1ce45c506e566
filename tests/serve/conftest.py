"""A server over a tiny model whose untrained editor makes every expert felt."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")

from fastapi.testclient import TestClient

from liveedit.editor import EditedModel
from liveedit.serve.app import create_app
from liveedit.serve.config import ServeConfig
from tests.editor.models import felt_model

Ask = Callable[..., Any]


def url_of(image: Image.Image) -> str:
    """A picture as requests carry it."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def asked(text: str, image: Image.Image | None = None) -> list[dict[str, Any]]:
    """A conversation of one question."""
    if image is None:
        return [{"role": "user", "content": text}]
    parts = [
        {"type": "image_url", "image_url": {"url": url_of(image)}}, {"type": "text", "text": text}
    ]  # fmt: skip
    return [{"role": "user", "content": parts}]


@pytest.fixture
def model(backbone, pictures, tmp_path: Path) -> Iterator[EditedModel]:
    edited = EditedModel(felt_model(backbone, pictures).method, tmp_path / "edits.db")
    yield edited
    edited.store.close()


@pytest.fixture
def client(model: EditedModel) -> Iterator[TestClient]:
    app = create_app(model, names=["tiny"], config=ServeConfig(seconds=60, max_tokens=32))
    with TestClient(app, base_url="http://localhost") as opened:
        yield opened
