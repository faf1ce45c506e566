"""Conversations in the form of OpenAI's API and of chat templates."""

import base64

import pytest

from liveedit.correction.conversation import MAX_MESSAGES, read_conversation
from liveedit.errors import BadConversation, BadImage
from tests.images import encoded, halves

USER = {"role": "user", "content": "What is this?"}
SHOWN = {"type": "image", "image": halves()}


def url(data: bytes, kind: str = "data:image/png;base64,") -> dict:
    return {"type": "image_url", "image_url": {"url": kind + base64.b64encode(data).decode()}}


def test_texts_pictures_and_their_places(tmp_path) -> None:
    halves().save(tmp_path / "a.png")
    found = read_conversation(
        [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [SHOWN, {"type": "text", "text": "What is it?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "A flag."}]},
            {
                "role": "user",
                "content": [
                    url(encoded(halves((4, 4)))),
                    {"type": "image", "path": str(tmp_path / "a.png")},
                    {"type": "text", "text": " And these,"},
                    {"type": "text", "text": "what are they? "},
                ],
            },
        ]
    )
    assert [message["role"] for message in found.history] == ["system", "user", "assistant"]
    assert [part["type"] for part in found.history[1]["content"]] == ["image", "text"]
    assert found.question == "And these,\nwhat are they?"
    assert [picture.size for picture in found.pictures] == [(8, 4), (4, 4), (8, 4)]
    assert found.asked_about == 2


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ([], "is empty"),
        ("What is this?", "is a list of messages"),
        (USER, "is a list of messages"),
        ([USER, {"role": "assistant", "content": "A flag."}], "ends with the assistant"),
        ([{"role": "system", "content": "Be brief."}], "ends with the system"),
        ([{"role": "tool", "content": "x"}, USER], "has the role 'tool'"),
        ([{"role": "user"}], "no role or no content"),
        (["What?"], "no role or no content"),
        ([{"role": "user", "content": [{"type": "video", "video": "a.mp4"}]}], "type 'video'"),
        ([{"role": "user", "content": ["What?"]}], "type None"),
        ([{"role": "user", "content": 5}], "no text and no list of parts"),
        ([{"role": "user", "content": [{"type": "image"}]}], "says not where it is"),
        ([{"role": "user", "content": [SHOWN]}], "asks nothing"),
        ([{"role": "assistant", "content": [SHOWN]}, USER], "only the user shows pictures"),
        ([USER] * (MAX_MESSAGES + 1), "leave out the oldest"),
    ],
)
def test_what_is_no_conversation_is_told(messages, said: str) -> None:
    with pytest.raises(BadConversation, match=said):
        read_conversation(messages)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "https://example.org/cat.png"}},
        {"type": "image_url", "image_url": "data:image/png;base64,!!!"},
        url(b"no picture"),
        {"type": "image_url", "image_url": {}},
        {"type": "image", "url": "http://127.0.0.1/cat.png"},
    ],
)
def test_pictures_that_are_none_are_told(part) -> None:
    with pytest.raises(BadImage):
        read_conversation([{"role": "user", "content": [part, {"type": "text", "text": "What?"}]}])
