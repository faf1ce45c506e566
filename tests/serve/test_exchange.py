"""Edits as a file, from one server to another."""

import io
import json
import zipfile

import pytest
from fastapi.testclient import TestClient

from liveedit.editor import EditedModel
from liveedit.serve.app import create_app
from liveedit.serve.config import ServeConfig
from liveedit.serve.keys import KeyFile
from tests.serve.conftest import asked
from tests.serve.test_access import bearer
from tests.serve.test_edits import ASKED, correction, make

KIND = {"content-type": "application/zip"}


@pytest.fixture
def other(model, tmp_path):
    """A second server of the same model, with a store of its own."""
    second = EditedModel(model.method, tmp_path / "other.db")
    app = create_app(second, config=ServeConfig(max_tokens=8))
    with TestClient(app, base_url="http://localhost", headers=KIND) as client:
        yield client
    second.store.close()


def test_edits_go_from_one_server_to_another(client, other, pictures) -> None:
    made = make(client, pictures, reason="was wrong")
    make(client, pictures, "a rose", 1, namespace="shop")
    sent = client.get("/v1/export")
    assert sent.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(sent.content)) as archive:
        assert {"store.json", "edits.jsonl"} <= set(archive.namelist())
        assert f"pictures/{made['image']}.webp" in archive.namelist()
    taken = other.post("/v1/import", content=sent.content)
    assert taken.json() == {"added": 1, "known": 0, "revision": 1}
    assert other.post("/v1/import", content=sent.content).json()["known"] == 1
    (edit,) = other.get("/v1/edits").json()["data"]
    assert (edit["id"], edit["reason"]) == (made["id"], "was wrong")
    said = other.post(
        "/v1/chat/completions", json={"messages": asked(ASKED, pictures[0])},
        headers={"content-type": "application/json"},
    )  # fmt: skip
    assert said.json()["choices"][0]["message"]["content"] == "a violet"
    whole = client.get("/v1/export", params={"everything": True})
    assert other.post("/v1/import", content=whole.content).json()["added"] == 1
    assert other.get("/v1/edits", params={"namespace": "shop"}).json()["total"] == 1


def test_who_may_export_and_import(model, tmp_path, pictures) -> None:
    file = KeyFile(tmp_path / "keys.json")
    tokens = {
        name: bearer(file.add(name, [scope], ["shop"]))
        for name, scope in (("reader", "ask"), ("clerk", "edit"), ("boss", "admin"))
    }
    app = create_app(model, keys=tmp_path / "keys.json")
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/v1/export").status_code == 401
        assert client.get("/v1/export", headers=tokens["reader"]).status_code == 403
        client.post("/v1/edits", headers=tokens["clerk"], json=correction(pictures))
        hidden = correction(pictures, "a rose", namespace="secret")
        client.post("/v1/edits", headers=tokens["boss"], json=hidden)
        sent = client.get("/v1/export", headers=tokens["clerk"])
        with zipfile.ZipFile(io.BytesIO(sent.content)) as archive:
            lines = archive.read("edits.jsonl").decode().splitlines()
        assert [json.loads(line)["namespace"] for line in lines] == ["shop"]
        for wanted in ({"everything": True}, {"namespace": "secret"}):
            found = client.get("/v1/export", headers=tokens["clerk"], params=wanted)
            assert found.status_code == 403
        sent = {"content": sent.content, "headers": tokens["clerk"] | KIND}
        assert client.post("/v1/import", **sent).status_code == 403
        sent["headers"] = tokens["boss"] | KIND
        assert client.post("/v1/import", **sent).json()["known"] == 1


def packed(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no export"),
        (b"PK\x03\x04 nonsense", "no export"),
        (packed({"store.json": b"{}"}), "export"),
        (packed({"../../evil.txt": b"x"}), "archive holds"),
        (packed({"/etc/evil": b"x"}), "archive holds"),
        (packed({"a/b/c": b"x"}), "archive holds"),
        (packed({".ssh/keys": b"x"}), "archive holds"),
        (packed({"..\\evil": b"x"}), "archive holds"),
    ],
)
def test_what_is_no_export_is_refused(other, tmp_path, data, told) -> None:
    found = other.post("/v1/import", content=data)
    assert found.status_code == 400
    assert told in found.json()["error"]["message"]
    assert not list(tmp_path.rglob("evil*"))
    assert other.get("/v1/edits").json()["total"] == 0


@pytest.mark.parametrize(
    ("name", "value"), [("tensors", "../edits.db"), ("image", "../../secret"), ("image", 7)]
)
def test_an_export_that_names_other_files_is_refused(client, other, pictures, name, value) -> None:
    make(client, pictures)
    files = unpacked(client.get("/v1/export").content)
    line = json.loads(files["edits.jsonl"]) | {name: value}
    files["edits.jsonl"] = json.dumps(line).encode()
    found = other.post("/v1/import", content=packed(files))
    assert found.status_code == 400
    assert "edits.jsonl" in found.json()["error"]["message"]


def test_a_changed_export_is_refused(client, other, pictures) -> None:
    make(client, pictures)
    files = unpacked(client.get("/v1/export").content)
    name = next(name for name in files if name.endswith(".safetensors"))
    files[name] = files[name][:-1] + bytes([files[name][-1] ^ 1])
    found = other.post("/v1/import", content=packed(files))
    assert found.status_code == 400
    assert "not as it was written" in found.json()["error"]["message"]


def test_a_zip_bomb_is_not_unpacked(model, tmp_path) -> None:
    bomb = packed({"store.json": b"0" * 50_000_000})
    assert len(bomb) < 100_000
    app = create_app(model, config=ServeConfig(import_body=1_000_000))
    with TestClient(app, base_url="http://localhost", headers=KIND) as client:
        assert client.post("/v1/import", content=bomb).status_code == 413
        lies = bomb.replace((50_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
        assert lies != bomb
        assert client.post("/v1/import", content=lies).status_code == 400
        assert client.post("/v1/import", content=b"x" * 2_000_000).status_code == 413


def test_an_export_of_another_model_is_refused(client, other, pictures) -> None:
    make(client, pictures)
    files = unpacked(client.get("/v1/export").content)
    manifest = json.loads(files["store.json"])
    manifest["fingerprint"]["edit_layer"] = 99
    files["store.json"] = json.dumps(manifest).encode()
    found = other.post("/v1/import", content=packed(files))
    assert found.status_code == 409
    assert "edit_layer" in found.json()["error"]["message"]
