"""The page, piece by piece, as a browser asks for it."""

import io
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from liveedit.serve.app import create_app
from liveedit.serve.config import ServeConfig
from liveedit.serve.keys import KeyFile

ASKED = "What is this?"
ANGRY = "<script>alert(1)</script>"


def sent(image) -> dict:
    """A picture as a form sends it."""
    file = io.BytesIO()
    image.save(file, "PNG")
    return {"picture": ("a.png", file.getvalue(), "image/png")}


class Shown(HTMLParser):
    """What a piece of the page holds."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


def test_ask_wrong_preview_write_revoke_restore(client, pictures) -> None:
    picture = sent(pictures[0])
    first = client.post("/page/ask", data={"question": ASKED}, files=picture)
    assert "No edit fired" in first.text
    client.post("/page/ask", data={"question": "Where is it?"}, files=picture)
    wanted = {"question": ASKED, "target": "a violet", "reason": "it is one"}
    tried = Shown(client.post("/page/preview", data=wanted, files=picture).text)
    assert "The model would answer a violet" in " ".join(tried.text.split())
    assert "Where is it?" in tried.text, "it was asked about the same picture"
    assert client.get("/v1/edits").json()["total"] == 0
    made = client.post("/page/edits", data=wanted, files=picture)
    assert made.headers["hx-trigger"] == "edits-changed"
    (edit,) = client.get("/v1/edits").json()["data"]
    after = client.post("/page/ask", data={"question": ASKED}, files=picture)
    assert "a violet" in Shown(after.text).text
    assert len(Shown(after.text).all("meter")) == 1
    table = Shown(client.get("/page/edits").text)
    assert "it is one" in table.text
    assert len(table.all("tr")) == 2
    (thumb,) = table.all("img")
    shown = client.get(thumb["src"])
    assert shown.headers["content-type"] in ("image/webp", "image/png", "image/jpeg")
    compared = Shown(
        client.post("/page/compare", data={"question": ASKED, "revision": 0}, files=picture).text
    )
    assert "Revision 0" in compared.text
    assert "a violet" in compared.text
    gone = client.post(f"/page/edits/{edit['id']}/revoke")
    assert "revoked" in gone.text
    assert "Restore" in gone.text
    back = client.post(f"/page/edits/{edit['id']}/restore")
    assert "in force" in back.text


def test_a_preview_tells_what_would_go_out_of_force(client, pictures) -> None:
    picture = sent(pictures[0])
    client.post("/page/edits", data={"question": ASKED, "target": "a rose"}, files=picture)
    wanted = {"question": ASKED, "target": "a violet"}
    told = client.post("/page/preview", data=wanted, files=picture).text
    assert "would go out of force" in told
    kept = client.post("/page/preview", data={**wanted, "supersede": "never"}, files=picture).text
    assert "would go out of force" not in kept
    assert client.get("/v1/edits").json()["data"][0]["state"] == "in force"


def test_the_queue_of_answers_marked_as_wrong(client, pictures) -> None:
    data = {"question": ASKED, "answer": "a rose", "note": "it is a violet"}
    marked = client.post("/page/wrong", data=data, files=sent(pictures[0]))
    assert marked.headers["hx-trigger"] == "reviews-changed"
    queue = Shown(client.get("/page/reviews").text)
    assert "it is a violet" in queue.text
    (again,) = [one for one in queue.all("button") if one.get("class") == "take"]
    assert again["data-picture"].startswith("data:image/webp;base64,")
    assert client.post("/page/reviews/1/done").text == ""
    assert client.post("/page/reviews/1/done").status_code == 404
    assert "Nothing is waiting" in client.get("/page/reviews").text


def test_what_people_type_is_text(client, pictures) -> None:
    client.post("/page/edits", data={"question": ANGRY, "target": ANGRY, "reason": ANGRY})
    client.post("/page/wrong", data={"question": ANGRY, "answer": ANGRY, "note": ANGRY})
    pieces = [
        client.post("/page/ask", data={"question": ANGRY}),
        client.post("/page/preview", data={"question": ANGRY, "target": ANGRY + "!"}),
        client.get("/page/edits", params={"search": ANGRY}),
        client.get("/page/reviews"),
        client.get("/", params={"namespace": '"><script>'}),
    ]
    for one in pieces:
        assert one.status_code == 200, one.text
        shown = Shown(one.text)
        assert all(attrs.get("src", "").startswith("/static/") for attrs in shown.all("script"))
        assert not any(name.startswith("on") for _, attrs in shown.tags for name in attrs)
    assert ANGRY in Shown(pieces[2].text).text


def test_nothing_from_elsewhere_and_no_inline_script(client) -> None:
    page = client.get("/")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    shown = Shown(page.text)
    assert not shown.all("style")
    assert not any("style" in attrs for _, attrs in shown.tags)
    for tag, name in (("script", "src"), ("link", "href"), ("img", "src")):
        for attrs in shown.all(tag):
            assert (attrs.get(name) or "/").startswith(("/static/", "data:", "/"))
            if (attrs.get(name) or "").startswith("/static/"):
                assert client.get(attrs[name]).status_code == 200
    assert client.get("/static/../app.py").status_code == 404
    labelled = {attrs.get("for") for attrs in shown.all("label")}
    for tag in ("input", "textarea", "select"):
        for attrs in shown.all(tag):
            assert attrs.get("type") == "hidden" or attrs["id"] in labelled


@pytest.mark.parametrize(
    ("path", "data", "status", "told"),
    [
        ("/page/ask", {"question": " "}, 400, "prompt is empty"),
        ("/page/ask", {"question": "What is <image>?"}, 400, "control token"),
        ("/page/preview", {"question": ASKED, "target": ""}, 400, "target is empty"),
        ("/page/edits/none/revoke", {}, 404, "no edit"),
        ("/page/compare", {"question": ASKED, "revision": 99}, 404, "newest revision is 0"),
    ],
)
def test_problems_are_told_in_words(client, path, data, status, told) -> None:
    found = client.post(path, data=data)
    assert found.status_code == status
    assert 'role="alert"' in found.text
    assert told in found.text


def test_a_file_that_is_no_picture(client) -> None:
    files = {"picture": ("a.png", b"not a picture", "image/png")}
    found = client.post("/page/ask", data={"question": ASKED}, files=files)
    assert found.status_code == 400
    assert 'role="alert"' in found.text


@pytest.fixture
def signed(model, tmp_path):
    """A server with keys, and a browser for each."""
    file = KeyFile(tmp_path / "keys.json")
    tokens = {
        "reader": file.add("reader", ["ask"], ["shop"]),
        "clerk": file.add("clerk", ["edit"], ["shop"]),
    }
    app = create_app(model, keys=tmp_path / "keys.json", config=ServeConfig(max_tokens=8))
    with TestClient(app, base_url="http://localhost", follow_redirects=False) as client:
        yield client, tokens


def test_signing_in_and_out(signed) -> None:
    client, tokens = signed
    assert client.get("/").headers["location"] == "/login"
    assert client.post("/login", data={"key": "le-wrong"}).status_code == 401
    answer = client.post("/login", data={"key": tokens["reader"]})
    cookie = answer.headers["set-cookie"].casefold()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    page = Shown(client.get("/").text)
    assert "Marked as wrong" not in page.text
    assert client.post("/logout").headers["location"] == "/login"
    assert client.get("/").status_code == 303


def test_who_may_only_ask_sees_no_way_to_edit_and_has_none(signed, pictures) -> None:
    client, tokens = signed
    client.post("/login", data={"key": tokens["clerk"]})
    wanted = {"question": ASKED, "target": "a violet", "namespace": "shop"}
    made = client.post("/page/edits", data=wanted, files=sent(pictures[0]))
    assert made.status_code == 200
    (edit,) = client.get("/v1/edits").json()["data"]
    assert edit["author"] == "clerk"
    client.post("/login", data={"key": tokens["reader"]})
    answer = client.post(
        "/page/ask", data={"question": ASKED, "namespace": "shop"}, files=sent(pictures[0])
    ).text
    assert "/page/preview" not in answer
    assert "/page/wrong" in answer
    assert "Revoke" not in client.get("/page/edits?namespace=shop").text
    for path in ("/page/edits", "/page/preview", f"/page/edits/{edit['id']}/revoke"):
        assert client.post(path, data=wanted).status_code == 403
    assert client.get("/page/reviews?namespace=shop").status_code == 403
    assert client.get("/page/edits?namespace=other").status_code == 403


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://localhost.evil.example"]
)
def test_a_page_of_others_can_do_nothing(client, origin: str) -> None:
    found = client.post(
        "/page/edits", data={"question": ASKED, "target": "x"}, headers={"Origin": origin}
    )
    assert found.status_code == 403
    assert client.get("/v1/edits").json()["total"] == 0
