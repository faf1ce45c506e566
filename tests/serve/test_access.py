"""Deny by default: keys, scopes, namespaces, rates, hosts, sizes."""

import socket
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient

from liveedit.errors import BadConfig
from liveedit.serve.app import create_app
from liveedit.serve.config import ServeConfig
from liveedit.serve.keys import KeyFile
from tests.serve.conftest import asked, listening

OPEN = {"/health", "/ready"}


@pytest.fixture
def keyed(model, tmp_path):
    """A server with keys, and a key of each kind."""
    file = KeyFile(tmp_path / "keys.json")
    tokens = {
        "reader": file.add("reader", ["ask"], ["shop"]),
        "clerk": file.add("clerk", ["edit"], ["shop", "books"]),
        "boss": file.add("boss", ["admin"], [""]),
    }
    app = create_app(model, keys=tmp_path / "keys.json", config=ServeConfig(max_tokens=4))
    with TestClient(app, base_url="http://localhost") as client:
        yield client, tokens, file


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


EDIT = {"prompt": "Who is king?", "target": "nobody"}


def test_every_route_refuses_those_without_a_key(keyed) -> None:
    client, tokens, _ = keyed
    routes = {path: how for path, how in client.app.openapi()["paths"].items() if path not in OPEN}
    assert len(routes) >= 7
    for path, methods in routes.items():
        path = path.replace("{edit_id}", "x")
        for method in map(str.upper, methods):
            for headers in ({}, bearer("le-wrong"), {"Authorization": f"Basic {tokens['boss']}"}):
                body = EDIT if "edits" in path else {"messages": asked("Who?")}
                found = client.request(method, path, headers=headers, json=body)
                assert found.status_code == 401, (method, path)
                assert found.headers["www-authenticate"] == "Bearer"


def test_scopes_and_namespaces(keyed) -> None:
    client, tokens, _ = keyed

    def status(who: str, method: str, path: str, json=None) -> int:
        return client.request(method, path, headers=bearer(tokens[who]), json=json).status_code

    ask = {"messages": asked("Who is king?")}
    assert status("reader", "POST", "/v1/chat/completions", ask) == 200
    assert status("reader", "POST", "/v1/chat/completions", {**ask, "namespace": "books"}) == 403
    assert status("reader", "POST", "/v1/edits", EDIT) == 403
    assert status("reader", "GET", "/v1/revisions") == 403
    made = client.post("/v1/edits", headers=bearer(tokens["clerk"]), json=EDIT).json()
    assert (made["namespace"], made["author"]) == ("shop", "clerk")
    books = client.post(
        "/v1/edits", headers=bearer(tokens["clerk"]), json={**EDIT, "namespace": "books"}
    ).json()
    assert status("clerk", "POST", "/v1/edits", {**EDIT, "namespace": ""}) == 403
    # of other namespaces not even the existence is told
    assert status("reader", "GET", f"/v1/edits/{made['id']}") == 200
    assert status("reader", "GET", f"/v1/edits/{books['id']}") == 404
    assert status("reader", "DELETE", f"/v1/edits/{made['id']}") == 403
    both = {"ids": [made["id"], books["id"]]}
    assert status("reader", "POST", "/v1/edits:revoke", {"ids": [made["id"]]}) == 403
    assert status("reader", "POST", "/v1/edits:revoke", {"ids": [books["id"]]}) in (403, 404)
    assert status("boss", "GET", f"/v1/edits/{made['id']}") == 200
    assert status("clerk", "DELETE", f"/v1/edits/{made['id']}") == 200
    assert status("clerk", "POST", "/v1/edits:restore", both) == 404, "the other is not revoked"
    assert status("boss", "GET", f"/v1/edits/{books['id']}") == 200
    assert status("boss", "GET", "/v1/revisions") == 200
    answer = client.post("/v1/chat/completions", headers=bearer(tokens["reader"]), json=ask).json()
    assert answer["liveedit"]["fired"] == {}, "the shop's edit was revoked, the books' is another's"


def test_a_revoked_key_is_good_no_more_at_once(keyed) -> None:
    client, tokens, file = keyed
    assert client.get("/v1/models", headers=bearer(tokens["reader"])).status_code == 200
    file.revoke("reader")
    assert client.get("/v1/models", headers=bearer(tokens["reader"])).status_code == 401
    new = file.add("reader", ["ask"], ["shop"])
    assert client.get("/v1/models", headers=bearer(new)).status_code == 200


def test_keys_are_kept_hashed_for_their_owner_alone(tmp_path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    token = file.add("reader", ["ask"], ["*"])
    text = (tmp_path / "keys.json").read_text()
    assert token not in text
    assert token[3:] not in text
    assert (tmp_path / "keys.json").stat().st_mode & 0o077 == 0
    assert KeyFile(tmp_path / "keys.json").find(token).name == "reader"
    with pytest.raises(BadConfig, match="already"):
        file.add("reader", ["ask"], [""])
    with pytest.raises(BadConfig, match="no key"):
        file.revoke("nobody")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": [{}]}', '{"keys": 3}'])
def test_what_is_no_file_of_keys(tmp_path, text) -> None:
    (tmp_path / "keys.json").write_text(text)
    with pytest.raises(BadConfig, match="no file of keys"):
        KeyFile(tmp_path / "keys.json")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "localhost:8000"}, 200),
        ({"Host": "127.0.0.1:8000"}, 200),
        ({"Host": "[::1]:8000"}, 200),
        ({"Host": "api.shop.example"}, 200),
        ({"Host": "localhost", "Origin": "http://evil.example"}, 403),
        ({"Host": "localhost", "Origin": "http://10.0.0.7"}, 403),
        ({"Host": "localhost", "Origin": "http://localhost:8000"}, 200),
    ],
)
def test_names_that_lead_here_but_are_not_ours(model, headers, status) -> None:
    app = create_app(model, hosts=["api.shop.example"])
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/v1/models", headers=headers).status_code == status


def test_too_many_requests(model) -> None:
    app = create_app(model, config=ServeConfig(requests_a_minute=3))
    with TestClient(app, base_url="http://localhost") as client:
        found = [client.get("/v1/models") for _ in range(5)]
    assert [one.status_code for one in found] == [200, 200, 200, 429, 429]
    assert found[-1].headers["retry-after"] == "5"


def test_keys_are_not_tried_without_end(keyed, tmp_path, model) -> None:
    app = create_app(model, keys=tmp_path / "keys.json", config=ServeConfig(requests_a_minute=3))
    with TestClient(app, base_url="http://localhost") as client:
        tried = [client.post("/login", data={"key": f"le-{at}"}) for at in range(5)]
        assert [one.status_code for one in tried] == [401, 401, 401, 429, 429]
        assert client.get("/login").status_code == 200, "the form is shown all the same"
        good = bearer(keyed[1]["reader"])
        assert client.get("/v1/models", headers=good).status_code == 200


def test_requests_that_are_sent_too_slowly(model) -> None:
    app = create_app(model, config=ServeConfig(body_seconds=0.3, max_tokens=2))
    with listening(app) as url:
        where = urlsplit(url)
        with socket.create_connection((where.hostname, where.port), timeout=30) as slow:
            slow.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")
        assert httpx.post(f"{url}/v1/chat/completions", json={"messages": asked("Who?")}).is_success


def test_requests_that_are_too_long(model) -> None:
    app = create_app(model, config=ServeConfig(body=2000, max_tokens=2))
    long = {"messages": asked("x" * 3000)}
    with TestClient(app, base_url="http://localhost") as client:
        assert client.post("/v1/chat/completions", json=long).status_code == 413

        def pieces():
            yield b'{"messages": "'
            for _ in range(100):
                yield b"x" * 100

        kind = {"content-type": "application/json"}
        assert (
            client.post("/v1/chat/completions", content=pieces(), headers=kind).status_code == 413
        )
        assert client.post("/v1/chat/completions", json={"messages": asked("Who?")}).is_success
