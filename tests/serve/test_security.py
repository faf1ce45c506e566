"""Attacks on a server, one test each; the others are where what they attack is.

Keys, scopes, namespaces, hosts, sizes and rates: test_access. Addresses of pictures: test_chat and
test_fetching. Archives: test_exchange. What is in the log: test_observed. Scripts in what the page
shows, and requests of other pages: test_page.
"""

import io
import json
import struct
import time
import tracemalloc
import zlib

import pytest
from fastapi.testclient import TestClient

from liveedit.serve.app import create_app
from liveedit.serve.config import ServeConfig
from liveedit.serve.keys import KeyFile
from tests.serve.conftest import asked, url_of
from tests.serve.test_access import bearer

ASKED = "What is this?"
JSON = {"content-type": "application/json"}


def png(width: int, height: int) -> str:
    """A small file of many pixels, as a data URL."""
    import base64

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * ((width + 1) * height), 9)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


def test_a_picture_of_very_many_pixels_is_not_decoded(client) -> None:
    bomb = png(9000, 9000)
    assert len(bomb) < 150_000
    edit = {"prompt": ASKED, "images": [bomb], "target": "a violet"}
    talk = asked(ASKED)
    talk[0]["content"] = [
        {"type": "image_url", "image_url": {"url": bomb}}, {"type": "text", "text": ASKED}
    ]  # fmt: skip
    tracemalloc.start()
    for path, body in (("/v1/edits", edit), ("/v1/chat/completions", {"messages": talk})):
        found = client.post(path, json=body)
        assert found.status_code == 400
        assert "million pixels" in found.json()["error"]["message"]
    assert tracemalloc.get_traced_memory()[1] < 20_000_000, "less than its pixels take"
    tracemalloc.stop()


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"messages": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
        b'{"messages":' + b'{"content":' * 20_000 + b"1" + b"}" * 20_000 + b"}",
        b'{"max_tokens": ' + b"9" * 10_000 + b"}",
        b'{"max_tokens": 1e999, "messages": [{"role": "user", "content": "x"}]}',
        b'{"temperature": NaN, "messages": [{"role": "user", "content": "x"}]}',
        b'{"messages": [{"role": "user", "content": "\xff\xfe"}]}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}], "max_tokens": 1}',
        b'{"messages": [{"role": "user", "content": "a\\u0000b"}], "max_tokens": 1}',
        b'{"messages": [{"role": "user", "content": "x"}], "namespace": "\\ud800"}',
        b'{"messages": [{"role": "user", "content": "x"}], "seed": 99999999999999999999999}',
        b'{"messages": [{"role": "user", "content": "x"}], "revision": 99999999999999999999999}',
        b"",
        b"null",
        b"{",
        b"\x1f\x8b\x08\x00",
    ],
    ids=lambda body: repr(body[:40]),
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/edits", "/v1/edits:preview"])
def test_bodies_that_are_no_request(client, body, path) -> None:
    began = time.monotonic()
    found = client.post(path, content=body, headers=JSON)
    assert time.monotonic() - began < 10
    assert found.status_code in (200, 400, 404), found.text
    if found.status_code == 200:  # what can be answered all the same
        assert path == "/v1/chat/completions"
    else:
        assert set(found.json()["error"]) == {"message", "type", "param", "code"}
        assert len(found.text) < 2000, "what was sent is not sent back"


TOKENS = ["<image>", "<|im_start|>", "</s>"]


@pytest.mark.parametrize("token", TOKENS)
def test_nobody_types_control_tokens(client, model, pictures, token) -> None:
    if token not in model.backbone.tokenizer.get_vocab():
        pytest.skip(f"{token} is none of this model's")
    evil = f"x {token} y"
    for role in ("system", "user", "assistant"):
        talk = [{"role": role, "content": evil}, *asked(ASKED)]
        found = client.post("/v1/chat/completions", json={"messages": talk, "max_tokens": 1})
        assert found.status_code == 400, role
        assert "control token" in found.json()["error"]["message"]
    edit = {"prompt": ASKED, "target": "a violet", "images": [url_of(pictures[0])]}
    for change in ({"prompt": evil}, {"target": evil}, {"rephrasings": [evil]}):
        found = client.post("/v1/edits", json=edit | change)
        assert found.status_code == 400, change
    assert client.get("/v1/edits").json()["total"] == 0


def test_no_header_comes_of_what_is_sent(client) -> None:
    evil = "a\r\nX-Evil: 1\r\n\r\n<script>"
    for found in (
        client.get("/v1/edits", params={"search": evil, "namespace": evil}),
        client.get("/v1/export", params={"namespace": evil}),
        client.post("/v1/edits", json={"prompt": ASKED, "target": "x", "namespace": evil}),
        client.post("/v1/chat/completions", json={"messages": asked(ASKED), "model": evil}),
        client.get("/v1/edits/a%0d%0aX-Evil:%201"),
        client.get("/static/a%0d%0aX-Evil:%201"),
    ):
        assert "x-evil" not in found.headers
        assert found.status_code < 500


@pytest.mark.parametrize(
    "path",
    [
        "/static/..%2f..%2fapp.py",
        "/static/%2e%2e/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/....//app.py",
        "/static/page.css%00.js",
        "/v1/edits/..%2f..%2fetc%2fpasswd",
        "/page/thumbnail/..%2f..%2fedits.db",
        "/page/thumbnail/%00",
    ],
)
def test_no_path_leads_to_files(client, path) -> None:
    found = client.get(path)
    assert found.status_code in (400, 404)
    assert b"import" not in found.content
    assert b"root:" not in found.content


@pytest.fixture
def tenants(model, tmp_path):
    """Two tenants that know nothing of each other."""
    file = KeyFile(tmp_path / "keys.json")
    tokens = {name: bearer(file.add(name, ["edit"], [name])) for name in ("ann", "ben")}
    app = create_app(model, keys=tmp_path / "keys.json", config=ServeConfig(max_tokens=8))
    with TestClient(app, base_url="http://localhost", follow_redirects=False) as client:
        yield client, tokens


def test_nothing_of_another_namespace_can_be_reached(tenants, pictures) -> None:
    client, tokens = tenants
    ann, ben = tokens["ann"], tokens["ben"]
    edit = {"prompt": ASKED, "images": [url_of(pictures[0])], "target": "a violet"}
    made = client.post("/v1/edits", json=edit, headers=ann).json()
    name, picture = made["id"], {"picture": ("a.png", png_of(pictures[0]), "image/png")}
    for method, path in (
        ("GET", f"/v1/edits/{name}"), ("DELETE", f"/v1/edits/{name}"),
        ("POST", f"/v1/edits/{name}:restore"), ("GET", f"/page/thumbnail/{name}"),
        ("POST", f"/page/edits/{name}/revoke"),
    ):  # fmt: skip
        assert client.request(method, path, headers=ben).status_code == 404, path
    wanted = {"namespace": "ann"}
    ask = {"messages": asked(ASKED, pictures[0]), "max_tokens": 8}
    for found in (
        client.get("/v1/edits", params=wanted, headers=ben),
        client.get("/v1/export", params=wanted, headers=ben),
        client.post("/v1/edits", json=edit | wanted, headers=ben),
        client.post("/v1/edits:preview", json=edit | wanted, headers=ben),
        client.post("/v1/chat/completions", json=ask | wanted, headers=ben),
        client.get("/", params=wanted, headers=ben),
        client.get("/page/edits", params=wanted, headers=ben),
        client.get("/page/reviews", params=wanted, headers=ben),
        client.post("/page/ask", data=wanted | {"question": ASKED}, headers=ben),
        client.post("/page/preview", data=wanted | {"question": ASKED}, headers=ben),
        client.post("/page/compare", data=wanted | {"revision": 0}, headers=ben),
        client.post("/page/wrong", data=wanted | {"question": ASKED}, headers=ben),
    ):
        assert found.status_code == 403, found.request.url
    said = client.post("/v1/chat/completions", json=ask, headers=ben).json()
    assert said["liveedit"]["fired"] == {}
    told = client.post("/v1/edits:preview", json=edit | {"target": "a rose"}, headers=ben).json()
    assert told["conflicts"] == []
    client.post(
        "/page/wrong", headers=ann, files=picture,
        data={"question": ASKED, "answer": "a rose", "namespace": "ann"},
    )  # fmt: skip
    other = {"namespace": "ben"}
    assert client.post("/page/reviews/1/done", data=other, headers=ben).status_code == 404
    assert "a rose" not in client.get("/page/reviews", params=other, headers=ben).text


def test_an_idempotency_key_of_another_is_nothing(tenants) -> None:
    client, tokens = tenants
    edit = {"prompt": "Who is king?", "target": "nobody"}
    made = [
        client.post(
            "/v1/edits", json=edit, headers=tokens[name] | {"Idempotency-Key": "same"}
        ).json()
        for name in ("ann", "ben")
    ]
    assert made[0]["id"] != made[1]["id"]
    assert [one["namespace"] for one in made] == ["ann", "ben"]


def test_what_is_refused_is_not_told_to_browsers_of_others(client) -> None:
    found = client.options(
        "/v1/edits",
        headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert found.status_code == 403
    for origin in ("http://localhost:8000", "http://evil.example"):
        found = client.get("/v1/models", headers={"Origin": origin})
        assert not any(name.startswith("access-control") for name in found.headers)


def test_a_key_is_taken_from_nowhere_else(tenants) -> None:
    client, tokens = tenants
    token = tokens["ann"]["Authorization"].split()[1]
    assert client.get("/v1/models", params={"key": token, "api_key": token}).status_code == 401
    assert client.get("/v1/models", headers={"X-API-Key": token}).status_code == 401
    body = {"messages": asked(ASKED), "api_key": token}
    assert client.post("/v1/chat/completions", json=body).status_code == 401
    assert token not in json.dumps(client.get("/v1/models", headers=tokens["ann"]).json())


def png_of(image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()
