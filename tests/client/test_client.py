"""The client against a real server, and the command line with ``--server``."""

import asyncio
import inspect
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from typer.testing import CliRunner

from liveedit import AsyncClient, Client
from liveedit.cli import app as command
from liveedit.errors import BadImage, BadImport, RequestRefused
from liveedit.serve.app import create_app
from liveedit.serve.keys import KeyFile
from tests.serve.conftest import listening

ASKED = "What is this?"


def test_the_whole_way_of_a_correction(address, model, pictures, tmp_path) -> None:
    file = tmp_path / "a picture.png"
    pictures[0].save(file)
    with Client(address) as client:
        before = client.ask(file, ASKED, max_tokens=8)
        assert (before.revision, before.fired) == (0, {})
        told = client.preview(file, ASKED, "a violet")
        assert told.reached
        assert model.edits == ()
        made = client.edit(str(file), ASKED, "a violet", reason="it is one", rephrasings=["Name?"])
        assert (made.revision, made.reason, made.rephrasings) == (1, "it is one", ["Name?"])
        for shown in (file, file.read_bytes(), pictures[0], [file]):
            answer = client.ask(shown, ASKED)
            assert (answer.text, list(answer.fired)) == ("a violet", [made.id])
        assert client.ask(file, ASKED, edits=False, max_tokens=8).text == before.text
        assert client.ask(file, ASKED, revision=0, max_tokens=8).text == before.text
        assert client.get(made.id).state == "in force"
        assert client.revoke(made.id, reason="no").state == "revoked"
        assert client.restore(made.id).state == "in force"
        assert [one.state for one in client.revoke_many([made.id], reason="so")] == ["revoked"]
        assert [one.state for one in client.restore_many([made.id])] == ["in force"]
        assert [(one.kind, one.reason) for one in client.revisions()][:2] == [
            ("add", ""), ("revoke", "no")
        ]  # fmt: skip
        assert client.import_(client.export(tmp_path / "edits.zip")).known == 1
        found = client.preview(file, ASKED, "a rose")
        assert found.conflicts[0]["id"] == made.id
        assert list(found.supersedes) == [made.id]


def test_all_pages(address, model) -> None:
    for at in range(5):
        model.edit(None, f"Question {at}?", f"answer {at}", keep=True)
    with Client(address) as client:
        page = client.page(limit=2)
        assert (len(page.edits), page.next, page.total) == (2, 2, 5)
        assert [one.target for one in client.edits()] == [f"answer {at}" for at in range(5)]
        assert [one.prompt for one in client.edits(search="question 3")] == ["Question 3?"]


def test_what_is_refused(address, model, tmp_path) -> None:
    with Client(address) as client:
        with pytest.raises(RequestRefused, match="no edit 'none'") as refused:
            client.get("none")
        assert (refused.value.status, refused.value.code) == (404, "unknown_edit")
        with pytest.raises(RequestRefused) as refused:
            client.get("../../health")
        assert refused.value.status == 404
        with pytest.raises(BadImage, match="cannot be read"):
            client.ask(tmp_path / "none.png", ASKED)
        with pytest.raises(BadImport, match="no file"):
            client.import_(tmp_path / "none.zip")
        with pytest.raises(RequestRefused, match="control token"):
            client.ask(None, "What is <image>?")
    with Client("http://127.0.0.1:9", retries=0) as nowhere:
        with pytest.raises(RequestRefused, match="does not answer") as refused:
            nowhere.ask(None, ASKED)
        assert refused.value.status == 0


def test_a_key(model, tmp_path) -> None:
    token = KeyFile(tmp_path / "keys.json").add("alice", ["edit"], ["shop"])
    with listening(create_app(model, keys=tmp_path / "keys.json")) as url:
        with Client(f"{url}/v1/", token) as client:
            made = client.edit(None, "Who is king?", "nobody")
            assert (made.author, made.namespace) == ("alice", "shop")
        with Client(url) as client, pytest.raises(RequestRefused, match="give a key"):
            client.page()


def test_the_async_twin(address, model, pictures, tmp_path) -> None:
    async def whole() -> None:
        async with AsyncClient(address) as client:
            made = await client.edit(pictures[0], ASKED, "a violet")
            answers = await asyncio.gather(*(client.ask(pictures[0], ASKED) for _ in range(3)))
            assert {one.text for one in answers} == {"a violet"}
            assert [one.id async for one in client.edits()] == [made.id]
            file = await client.export(tmp_path / "edits.zip")
            assert (await client.import_(file)).known == 1
            assert (await client.revoke(made.id)).state == "revoked"
            assert len(await client.revisions()) == 2
            with pytest.raises(RequestRefused):
                await client.revoke_many([made.id])
            assert [one.id for one in await client.restore_many([made.id])] == [made.id]

    asyncio.run(whole())


def test_the_twins_have_the_same_methods() -> None:
    def methods(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(one).parameters)
            for name, one in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_") and name not in ("close", "aclose")
        }

    assert methods(Client) == methods(AsyncClient)
    assert len(methods(Client)) == 13


class Busy(BaseHTTPRequestHandler):
    """Refuses twice, then answers; tells what it was sent."""

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_POST(self) -> None:
        self.server.seen.append(self.headers["Idempotency-Key"])
        self.rfile.read(int(self.headers["Content-Length"]))
        turn = len(self.server.seen)
        if turn == 1:
            self.connection.close()  # no answer at all
            return
        body = {"error": {"message": "busy", "code": "overloaded"}} if turn == 2 else {
            "id": "x", "namespace": "", "image": None, "prompt": "p", "target": "t", "author": "",
            "reason": "", "created": "2026-11-28T00:00:00+00:00", "later": "news",
        }  # fmt: skip
        data = json.dumps(body).encode()
        self.send_response(429 if turn == 2 else 201)
        self.send_header("Retry-After", "0")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def test_an_edit_is_sent_again_by_the_same_name(monkeypatch) -> None:
    server = HTTPServer(("127.0.0.1", 0), Busy)
    server.seen, server.handle_error = [], lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with Client(f"http://127.0.0.1:{server.server_port}") as client:
        assert client.edit(None, "p", "t").id == "x"
    assert len(server.seen) == 3
    assert len(set(server.seen)) == 1
    assert server.seen[0]
    server.seen[:] = ["told before"]
    with (
        Client(f"http://127.0.0.1:{server.server_port}", retries=0) as client,
        pytest.raises(RequestRefused, match="busy") as refused,
    ):
        client.edit(None, "p", "t")
    assert refused.value.status == 429
    server.shutdown()
    server.server_close()


def run(*words: str, status: int = 0) -> str:
    found = CliRunner().invoke(command, list(words))
    assert found.exit_code == status, found.output
    return found.stdout


def test_the_command_line(address, model, pictures, tmp_path) -> None:
    file = str(tmp_path / "a.png")
    pictures[0].save(file)
    add = ("edit", "add", "--server", address, "--prompt", ASKED, "--image", file)
    told = json.loads(run(*add, "--target", "a violet", "--preview", "--json"))
    assert not told["written"]
    made = json.loads(run(*add, "--target", "a violet", "--json"))
    assert run("ask", file, ASKED, "--server", address) == "a violet\n"
    answer = json.loads(run("ask", file, ASKED, f"--server={address}", "--json"))
    assert list(answer["fired"]) == [made["id"]]
    assert run("ask", file, ASKED, "--server", address, "--as-of", "0", "--max-new-tokens", "4")
    assert "supersedes" in run(*add, "--target", "a rose")
    assert made["id"] in run("edit", "list", "--server", address, "--all")
    assert made["id"] not in run("edit", "list", "--server", address)
    assert len(json.loads(run("edit", "search", "rose", "--server", address, "--json"))) == 1
    run("edit", "search", "tulip", "--server", address, status=1)
    shown = run("edit", "show", made["id"], "--server", address)
    assert "superseded" in shown
    server = ("--server", address, "--reason", "no")
    none = CliRunner().invoke(command, ["edit", "revoke", made["id"], "x", *server])
    assert "there is no edit 'x'" in str(none.exception)
    assert "superseded" in run("edit", "show", made["id"], "--server", address)
    run("edit", "revoke", made["id"], *server)
    run("edit", "restore", made["id"], "--server", address)
    out = str(tmp_path / "out.zip")
    run("edit", "export", "--out", out, "--server", address)
    assert run("edit", "import", out, "--server", address) == "0 added, 2 known before\n"
    model.method.config = model.method.config.model_copy(update={"refine_steps": 0})
    unreached = ("--target", "a violet, or so they say, from the Alps and the Urals")
    refused = CliRunner().invoke(command, [*add, *unreached])
    assert (refused.exit_code, "would still be answered" in refused.stderr) == (4, True)
    assert "NOT REACHED" in run(*add, *unreached, "--keep")
