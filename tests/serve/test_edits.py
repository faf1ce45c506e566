"""Corrections over HTTP."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.serve.conftest import asked, url_of

ASKED = "What is this?"


def correction(pictures, target: str = "a violet", at: int = 0, **more: object) -> dict:
    return {"prompt": ASKED, "images": [url_of(pictures[at])], "target": target, **more}


def make(client, *given, **more) -> dict:
    found = client.post("/v1/edits", json=correction(*given, **more))
    assert found.status_code == 201, found.text
    return found.json()


def test_the_life_of_an_edit(client, model, pictures) -> None:
    made = make(client, pictures, reason="was wrong")
    assert made["reached"]
    assert made["revision"] == 1
    name = f"/v1/edits/{made['id']}"
    assert client.get(name).json()["state"] == "in force"
    assert model.generate(pictures[0], ASKED, max_new_tokens=8) == "a violet"
    gone = client.request("DELETE", name, json={"reason": "right after all"})
    assert gone.json()["state"] == "revoked"
    assert model.generate(pictures[0], ASKED, max_new_tokens=8) != "a violet"
    assert client.request("DELETE", name).status_code == 404
    back = client.post(f"{name}:restore")
    assert back.json()["state"] == "in force"
    assert model.generate(pictures[0], ASKED, max_new_tokens=8) == "a violet"
    told = client.get("/v1/revisions").json()
    assert [row["kind"] for row in told["data"]] == ["add", "revoke", "restore"]
    assert told["data"][1]["reason"] == "right after all"
    assert told["newest"] == 3


def test_several_are_taken_back_together_or_none(client, model, pictures) -> None:
    first, second = (make(client, pictures, at=at)["id"] for at in (0, 1))
    unknown = client.post("/v1/edits:revoke", json={"ids": [first, "nothing"]})
    assert (unknown.status_code, "'nothing'" in unknown.text) == (404, True)
    assert len(model.edits) == 2
    both = {"ids": [second, first, second], "reason": "sold"}
    gone = client.post("/v1/edits:revoke", json=both).json()
    assert [(row["id"], row["state"]) for row in gone["data"]] == [
        (second, "revoked"), (first, "revoked")
    ]  # fmt: skip
    assert model.edits == ()
    again = client.post("/v1/edits:revoke", json=both)
    assert again.status_code == 404
    back = client.post("/v1/edits:restore", json={"ids": [first, second]}).json()
    assert {row["state"] for row in back["data"]} == {"in force"}
    (_, _, revoked, restored) = client.get("/v1/revisions").json()["data"]
    assert (sorted(revoked["edits"]), revoked["reason"]) == (sorted((first, second)), "sold")
    assert (restored["kind"], len(restored["edits"])) == ("restore", 2)
    for bad in ({"ids": []}, {"ids": [first] * 201}, {"ids": first}, {}):
        assert client.post("/v1/edits:revoke", json=bad).status_code == 400
    assert len(model.edits) == 2


def test_a_preview_writes_nothing_and_tells_what_it_would_supersede(client, pictures) -> None:
    first = make(client, pictures)
    found = client.post("/v1/edits:preview", json=correction(pictures, "a rose")).json()
    assert found["reached"]
    assert [(one["id"], one["kind"]) for one in found["conflicts"]] == [
        (first["id"], "contradicts")
    ]
    assert found["supersedes"] == [first["id"]]
    assert client.get("/v1/edits").json()["total"] == 1
    assert client.get(f"/v1/edits/{first['id']}").json()["state"] == "in force"


def test_the_same_request_twice_is_one_edit(client, pictures) -> None:
    same = {"headers": {"Idempotency-Key": "one"}, "json": correction(pictures)}
    first, second = (client.post("/v1/edits", **same) for _ in range(2))
    assert first.status_code == second.status_code == 201
    assert first.json() == second.json()
    other = client.post("/v1/edits", headers=same["headers"], json=correction(pictures, "a rose"))
    assert other.status_code == 409
    assert client.get("/v1/edits").json()["total"] == 1


def test_the_same_request_at_the_same_time_is_one_edit(client, model, pictures) -> None:
    same = {"headers": {"Idempotency-Key": "one"}, "json": correction(pictures)}
    with ThreadPoolExecutor(8) as threads:
        found = [one.result() for one in
                 [threads.submit(client.post, "/v1/edits", **same) for _ in range(8)]]  # fmt: skip
    assert {one.status_code for one in found} == {201}
    assert len({one.json()["id"] for one in found}) == 1
    assert model.store.revision == 1
    assert client.get("/v1/edits").json()["total"] == 1


def test_what_failed_may_be_tried_again_by_the_same_key(client, model, pictures) -> None:
    headers = {"Idempotency-Key": "one"}
    refused = correction(pictures, "x " * 3000)
    for _ in range(2):
        assert client.post("/v1/edits", headers=headers, json=refused).status_code == 400
    assert client.post("/v1/edits", headers=headers, json=correction(pictures)).status_code == 201
    long = {"Idempotency-Key": "k" * 256}
    assert client.post("/v1/edits", headers=long, json=correction(pictures)).status_code == 400
    assert model.store.revision == 1


def test_pages_search_and_states(client, pictures) -> None:
    names = [make(client, pictures, f"thing {at}", at % 3, supersede="never")["id"]
             for at in range(5)]  # fmt: skip
    client.delete(f"/v1/edits/{names[1]}")
    first = client.get("/v1/edits", params={"limit": 3}).json()
    assert [one["id"] for one in first["data"]] == names[:3]
    assert first["has_more"]
    rest = client.get("/v1/edits", params={"limit": 3, "after": first["next"]}).json()
    assert [one["id"] for one in rest["data"]] == names[3:]
    assert not rest["has_more"]
    found = client.get("/v1/edits", params={"search": "THING 4"}).json()
    assert [one["id"] for one in found["data"]] == names[4:]
    revoked = client.get("/v1/edits", params={"state": "revoked"}).json()
    assert [one["id"] for one in revoked["data"]] == [names[1]]


def test_a_conversation_is_corrected(client, model, pictures) -> None:
    talk = [
        *asked("Hello", pictures[0]),
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": ASKED},
        {"role": "assistant", "content": "a rose"},
    ]
    made = client.post("/v1/edits", json={"messages": talk, "target": "a violet"})
    assert made.status_code == 201, made.text
    assert model.generate(pictures[0], ASKED, max_new_tokens=8) == "a violet"


def test_a_text_only_correction(client, model) -> None:
    made = client.post("/v1/edits", json={"prompt": "Who is king?", "target": "nobody"})
    assert made.status_code == 201
    assert made.json()["image"] is None
    assert model.generate(None, "Who is king?", max_new_tokens=8) == "nobody"


@pytest.mark.parametrize(
    ("change", "status", "told"),
    [
        ({"target": " "}, 400, "target is empty"),
        ({"prompt": None}, 400, "either prompt"),
        ({"images": ["http://example.org/a.png"]}, 400, "data URL"),
        ({"images": ["data:image/png;base64,AAAA"]}, 400, ""),
        ({"images": ["data:image/png;base64,AAAA"] * 9}, 400, "more than 8 pictures"),
        ({"colour": "red"}, 400, "colour: there is no such field; give prompt, images, messages"),
        ({"target": "x " * 3000}, 400, "tokens"),
        ({"supersede": "some"}, 400, "supersede"),
    ],
)
def test_what_cannot_be_an_edit_is_told(client, pictures, change, status, told) -> None:
    found = client.post("/v1/edits", json=correction(pictures) | change)
    assert found.status_code == status, found.text
    assert told in found.json()["error"]["message"]
    assert client.get("/v1/edits").json()["total"] == 0


def test_an_unknown_edit_and_an_unknown_route(client) -> None:
    for method, path in (("GET", "/v1/edits/none"), ("DELETE", "/v1/edits/none"),
                         ("POST", "/v1/edits/none:restore"), ("GET", "/v1/nothing")):  # fmt: skip
        found = client.request(method, path)
        assert found.status_code == 404
        assert "error" in found.json()


def test_what_another_process_writes_holds_too(client, model, pictures, tmp_path) -> None:
    import time

    from liveedit.editor import EditedModel

    other = EditedModel(model.method, tmp_path / "edits.db")
    other.edit(pictures[0], ASKED, "a violet")
    other.store.close()
    for _ in range(50):
        said = client.post(
            "/v1/chat/completions", json={"messages": asked(ASKED, pictures[0]), "max_tokens": 8}
        ).json()["choices"][0]["message"]["content"]
        if said == "a violet":
            return
        time.sleep(0.1)
    pytest.fail("the store was not followed")
