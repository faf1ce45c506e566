"""Answers from an engine beside the server.

vLLM itself is asked in tests/vllm/engine. Here another server of the project is the engine, which
reads the same store; a middleware turns vLLM's fields into its own.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI
from PIL import Image

from liveedit.correction.conversation import read_picture
from liveedit.editor import EditedModel
from liveedit.errors import CannotServe, EngineUnreachable
from liveedit.serve.app import create_app
from liveedit.serve.config import ServeConfig
from liveedit.serve.jobs import Job
from liveedit.serve.messages import messages_of
from liveedit.serve.metrics import Metrics
from liveedit.serve.vllm_engine import VllmEngine
from tests.editor.models import felt_model
from tests.serve.conftest import asked, listening, url_of


class AsVllm:
    """A server that knows the fields of vLLM and of the plugin, and says the tokens of a prompt."""

    def __init__(self, app: Any, namespaces: tuple[str, ...] = ("", "shop")) -> None:
        self.app, self.namespaces = app, namespaces
        self.backbone = app.state.server.model.backbone
        self.bodies: list[dict[str, Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        data, more = b"", True
        while more:
            message = await receive()
            data, more = data + message["body"], message.get("more_body", False)
        body = json.loads(data)
        assert body.get("n", 1) == 1 or body["temperature"] > 0  # as vLLM has it
        self.bodies.append(body)
        fields = body.pop("vllm_xargs", {})
        body["edits"] = not fields.get("liveedit_disabled")
        body["namespace"] = fields.get("liveedit_namespace", "")
        body["revision"] = fields.get("liveedit_revision")
        if body["namespace"] not in self.namespaces:
            await send({"type": "http.response.start", "status": 400, "headers": []})
            message = json.dumps({"error": {"message": "the namespace is not served"}}).encode()
            await send({"type": "http.response.body", "body": message})
            return
        changed = json.dumps(body).encode()
        scope["headers"] = [
            (name, b"%d" % len(changed) if name == b"content-length" else value)
            for name, value in scope["headers"]
        ]
        told = iter([{"type": "http.request", "body": changed}])

        async def given() -> Any:
            return next(told, None) or await receive()

        if body.get("stream"):
            await self.app(scope, given, send)
            return
        start: dict[str, Any] = {}
        said = b""

        async def keep(message: Any) -> None:
            nonlocal said
            start.update(message if message["type"] == "http.response.start" else {})
            said += message.get("body", b"")

        await self.app(scope, given, keep)
        answer = json.loads(said)
        if start["status"] == 200:
            prompt = self.backbone.prompt_text(body["messages"][-1]["content"], images=0)
            answer["prompt_token_ids"] = self.prompt_ids(prompt)
        said = json.dumps(answer).encode()
        kept = [pair for pair in start["headers"] if pair[0] != b"content-length"]
        await send(start | {"headers": kept})
        await send({"type": "http.response.body", "body": said})

    def prompt_ids(self, prompt: str) -> list[int]:
        """Tokens of a prompt."""
        found: list[int] = self.backbone.encode(prompt)
        return found


@pytest.fixture
def engine(model: EditedModel, backbone, tmp_path: Path) -> Iterator[tuple[str, AsVllm]]:
    other = EditedModel(type(model.method)(backbone, model.method.network), tmp_path / "edits.db")
    app = AsVllm(create_app(other, names=["engine"], config=ServeConfig(max_tokens=16)))
    with listening(app) as address:
        yield address, app
    other.store.close()


def beside(model: EditedModel, address: str, **limits: Any) -> Any:
    config = ServeConfig(**{"max_tokens": 16, "seconds": 20.0} | limits)

    def make(metrics: Metrics) -> VllmEngine:
        return VllmEngine(address, metrics, model=model, config=config)

    return create_app(model, names=["tiny"], config=config, beside=make)


def ask(address: str, text: str, image: Image.Image | None = None, **more: Any) -> dict[str, Any]:
    body = {"messages": asked(text, image), **more}
    found = httpx.post(f"{address}/v1/chat/completions", json=body, timeout=30)
    return found.json() | {"status": found.status_code, "headers": found.headers}


def png_of(image: Image.Image) -> bytes:
    return base64.b64decode(url_of(image).partition(",")[2])


def text_of(answer: dict[str, Any]) -> str:
    return answer["choices"][0]["message"]["content"]


def test_a_correction_holds_from_the_next_request_on(model, engine, pictures) -> None:
    own = model.generate(pictures[0], "What is this?", max_new_tokens=16)
    with listening(beside(model, engine[0])) as address:
        before = ask(address, "What is this?", pictures[0])
        assert text_of(before) == own
        edit = {"prompt": "What is this?", "images": [url_of(pictures[0])], "target": "a dog"}
        made = httpx.post(f"{address}/v1/edits", json=edit | {"keep": True}, timeout=30)
        assert made.status_code == 201, made.text
        after = ask(address, "What is this?", pictures[0])
        assert text_of(after) == model.generate(pictures[0], "What is this?", max_new_tokens=16)
        assert text_of(after) != text_of(before)
        assert after["liveedit"] == {"revision": model.store.revision}
        assert after["headers"]["X-LiveEdit-Revision"] == str(model.store.revision)
        assert after["usage"]["prompt_tokens"] == before["usage"]["prompt_tokens"] > 0
        page = httpx.post(
            f"{address}/page/ask", data={"question": "What is this?"}, timeout=30,
            files={"picture": ("a.png", png_of(pictures[0]), "image/png")},
        )  # fmt: skip
        assert "Edits that fired" in page.text
        for fields in ({"edits": False}, {"revision": 0}, {"namespace": "shop"}):
            assert text_of(ask(address, "What is this?", pictures[0], **fields)) == own
        assert httpx.get(f"{address}/ready").status_code == 200
    sent = engine[1].bodies[-1]
    assert sent["stop_token_ids"] == model.backbone.ends
    assert sent["stream"] is True


def test_streams_choices_and_logprobs(model, engine, pictures) -> None:
    with listening(beside(model, engine[0])) as address:
        client = OpenAI(base_url=f"{address}/v1", api_key="none")
        stream = client.chat.completions.create(
            model="tiny", messages=asked("What is this?", pictures[0]), stream=True,
        )  # fmt: skip
        pieces = [one.choices[0].delta.content or "" for one in stream if one.choices]
        whole = client.chat.completions.create(
            model="tiny", messages=asked("What is this?", pictures[0]), logprobs=True,
            top_logprobs=2, n=2, max_tokens=4,
        )  # fmt: skip
        drawn = client.chat.completions.create(
            model="tiny", messages=asked("What is this?", pictures[0]), temperature=2.0,
            n=3, max_tokens=6,
        )  # fmt: skip
    assert len({one.message.content for one in drawn.choices}) > 1
    assert "".join(pieces) == model.generate(pictures[0], "What is this?", max_new_tokens=16)
    first, second = whole.choices
    assert first.message.content == second.message.content
    assert len(first.logprobs.content) == 4
    assert len(first.logprobs.content[0].top_logprobs) == 2


def test_what_the_engine_refuses_is_told(model, engine) -> None:
    with listening(beside(model, engine[0])) as address:
        found = ask(address, "What is this?", namespace="other")
        assert found["status"] == 400
        assert "the namespace is not served" in found["error"]["message"]
        assert found["error"]["code"] == "engine_refused"


def test_an_engine_that_goes_away_and_comes_back(model, backbone, tmp_path: Path) -> None:
    other = EditedModel(type(model.method)(backbone, model.method.network), tmp_path / "edits.db")
    app = AsVllm(create_app(other, config=ServeConfig(max_tokens=8)))
    with _listening_again(app) as (start, stop), listening(beside(model, start())) as address:
        assert ask(address, "What is this?")["status"] == 200
        stop()
        gone = ask(address, "What is this?")
        assert gone["status"] == 503
        assert gone["headers"]["Retry-After"]
        assert "look whether vLLM runs there" in gone["error"]["message"]
        assert httpx.get(f"{address}/ready").json()["status"] == "the engine does not answer"
        start()
        assert ask(address, "What is this?")["status"] == 200
    other.store.close()


class BehindRay(AsVllm):
    """An engine whose health has no address of its own."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") == "/health":
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await super().__call__(scope, receive, send)


def test_an_engine_without_an_address_for_its_health(model) -> None:
    with (
        listening(BehindRay(create_app(model))) as found,
        listening(beside(model, found)) as address,
    ):
        assert httpx.get(f"{address}/ready").json()["status"] == "ok"


class Ending(AsVllm):
    """Breaks off the first answers after their first words."""

    def __init__(self, app: Any, times: int) -> None:
        super().__init__(app)
        self.times = times

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def until_it_ends(message: Any) -> None:
            await send(message)
            begun = re.search(rb'"content": ?"\w', message.get("body", b""))
            if begun and self.times and self.bodies[-1].get("stream"):
                self.times -= 1
                raise OSError("it is gone")

        await super().__call__(scope, receive, until_it_ends)


def test_an_engine_that_ends_in_the_midst_of_an_answer(model) -> None:
    fine = ask_of(model, Ending(create_app(model), 0))
    assert fine["status"] == 200
    again = ask_of(model, Ending(create_app(model), 1))
    assert again["choices"] == fine["choices"]
    assert again["usage"] == fine["usage"]
    gone = ask_of(model, Ending(create_app(model), 2))
    assert gone["status"] == 503
    assert "look whether vLLM runs there" in gone["error"]["message"]


def test_what_was_told_is_not_told_again(model) -> None:
    app = Ending(create_app(model), 1)
    with listening(app) as found, listening(beside(model, found)) as address:
        body = {"messages": [{"role": "user", "content": "What is this?"}], "stream": True}
        text = httpx.post(f"{address}/v1/chat/completions", json=body, timeout=60).text
    assert "look whether vLLM runs there" in text
    assert len([one for one in app.bodies if one.get("stream")]) == 1


def ask_of(model: EditedModel, app: Any) -> Any:
    with listening(app) as found, listening(beside(model, found)) as address:
        return ask(address, "What is this?", logprobs=True)


@contextmanager
def _listening_again(app: Any) -> Iterator[Any]:
    import uvicorn

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    running: list[Any] = []

    def start() -> str:
        server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        running.append((server, thread))
        return f"http://127.0.0.1:{port}"

    def stop() -> None:
        server, thread = running.pop()
        server.should_exit = True
        thread.join(30)

    try:
        yield start, stop
    finally:
        while running:
            stop()


def _made(model: EditedModel, address: str, **more: Any) -> VllmEngine:
    return VllmEngine(address, Metrics(), model=model, config=ServeConfig(seconds=5), **more)


def test_an_engine_without_the_plugin_is_refused_at_start(model, address) -> None:
    with pytest.raises(CannotServe, match="answers without edits"):
        _made(model, address)


def test_an_engine_with_another_store_is_refused_at_start(
    model, backbone, pictures, tmp_path: Path
) -> None:
    other = felt_model(backbone, pictures)
    model.edit(pictures[0], "What is this?", "a dog", keep=True)
    with (
        listening(AsVllm(create_app(other))) as found,
        pytest.raises(CannotServe, match="reads another one"),
    ):
        _made(model, found)


def test_an_engine_with_another_chat_template_is_refused_at_start(model, backbone) -> None:
    class Other(AsVllm):
        def prompt_ids(self, prompt: str) -> list[int]:
            return super().prompt_ids(f"Be brief. {prompt}")

    with (
        listening(Other(create_app(model))) as found,
        pytest.raises(CannotServe, match="chat template"),
    ):
        _made(model, found)


def test_an_engine_that_takes_no_messages_is_refused_at_start(model) -> None:
    with (
        listening(AsVllm(create_app(model), namespaces=())) as found,
        pytest.raises(CannotServe, match="takes no messages"),
    ):
        _made(model, found)


def test_an_engine_that_is_loaded_yet_is_waited_for(model, caplog) -> None:
    with _listening_again(AsVllm(create_app(model))) as (start, stop):
        address = start()
        stop()
        later = threading.Timer(1.0, start)
        later.start()
        _made(model, address, wait=30.0).close(seconds=1)
        later.join()
    assert f"waiting for the engine at {address}" in caplog.text


def test_no_engine(model) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{found.getsockname()[1]}"
    with pytest.raises(EngineUnreachable, match="nothing answers there"):
        _made(model, address)
    with pytest.raises(CannotServe, match="is no address"):
        _made(model, "ftp://somewhere")


def test_messages_keep_pictures_where_they_were(pictures) -> None:
    job = Job(
        pictures=pictures[:3],
        prompt="And this?",
        history=[
            {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "a cat"}]},
        ],
    )
    first, answer, last = messages_of(job)
    assert [part["type"] for part in first["content"]] == ["image_url", "text"]
    assert answer["content"] == [{"type": "text", "text": "a cat"}]
    assert [part["type"] for part in last["content"]] == ["image_url", "image_url", "text"]
    shown = [read_picture(part["image_url"]["url"]) for part in last["content"][:2]]
    assert [one.tobytes() for one in shown] == [one.tobytes() for one in pictures[1:3]]
