"""A server over a tiny model whose untrained editor makes every expert felt."""

from __future__ import annotations

import base64
import io
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the extra 'serve' is not installed")

import uvicorn
from fastapi.testclient import TestClient

from liveedit.backbones.registry import load_backbone
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
def editor(backbone, tiny_folder, pictures, tmp_path: Path) -> Path:
    """Its editor as a folder, for the saved tiny model."""
    loaded = load_backbone(tiny_folder, dtype=backbone.dtype)
    felt_model(loaded, pictures).method.save(tmp_path / "editor")
    return tmp_path / "editor"


@contextmanager
def listening(app: Any) -> Iterator[str]:
    """A real server on a free port of this machine."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


@pytest.fixture
def address(model: EditedModel) -> Iterator[str]:
    with listening(create_app(model, names=["tiny"], config=ServeConfig(max_tokens=16))) as found:
        yield found


@pytest.fixture
def client(model: EditedModel) -> Iterator[TestClient]:
    app = create_app(model, names=["tiny"], config=ServeConfig(seconds=60, max_tokens=32))
    with TestClient(app, base_url="http://localhost") as opened:
        yield opened
