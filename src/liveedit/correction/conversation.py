"""Conversations in the form that OpenAI's API and transformers' chat templates share."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from PIL import Image

from liveedit.correction.images import MAX_FILE_BYTES, open_image
from liveedit.errors import BadConversation, BadImage

Message: TypeAlias = Mapping[str, Any]
Messages: TypeAlias = Sequence[Message]

MAX_MESSAGES = 1000
_ROLES = ("system", "user", "assistant")
_DATA_URL = re.compile(r"\s*data:(?:image/[a-z0-9.+-]+)?(?:;[^,;]*)*;base64,", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """A conversation that ends with a question.

    Args:
        history: What precedes the question, each message with a role and parts: texts, and a place
            for each picture, as chat templates take them.
        question: The last question.
        pictures: All pictures, in their order.
        asked_about: How many of them, the last, belong to the last question's own message.
    """

    history: tuple[dict[str, Any], ...]
    question: str
    pictures: tuple[Image.Image, ...] = field(repr=False)
    asked_about: int


def read_conversation(messages: object) -> Conversation:
    """Check a conversation, and open its pictures.

    Args:
        messages: Each with ``role`` (system, user or assistant) and ``content``: a text, or a list
            of parts ``{"type": "text", "text": ...}``, ``{"type": "image", "image": ...}`` (what
            ``open_image`` takes) or ``{"type": "image_url", "image_url":
            {"url": ...}}`` (a data URL, or a path). The last one is the user's.

    Raises:
        BadConversation: It is empty, ends with the assistant, or has an unknown role or part.
        BadImage: A picture cannot be opened; nothing is ever fetched.
    """
    if isinstance(messages, str | Mapping) or not isinstance(messages, Sequence):
        raise BadConversation("a conversation is a list of messages with a role and content")
    if not messages:
        raise BadConversation("the conversation is empty; give at least a question of the user")
    if len(messages) > MAX_MESSAGES:
        raise BadConversation(
            f"the conversation has {len(messages)} messages, more than {MAX_MESSAGES}; leave out "
            "the oldest"
        )
    pictures: list[Image.Image] = []
    read = [_read(number, message, pictures) for number, message in enumerate(messages, 1)]
    *history, last = read
    if last["role"] != "user":
        raise BadConversation(
            f"the conversation ends with the {last['role']}; end it with the user's question"
        )
    asked_about = sum(part["type"] == "image" for part in last["content"])
    question = "\n".join(part["text"] for part in last["content"] if part["type"] == "text")
    if not question.strip():
        raise BadConversation("the last message asks nothing; add the question as text")
    return Conversation(
        history=tuple(history),
        question=question.strip(),
        pictures=tuple(pictures),
        asked_about=asked_about,
    )


def _read(number: int, message: object, pictures: list[Image.Image]) -> dict[str, Any]:
    """One message as a chat template takes it; its pictures are added to the others."""
    if not isinstance(message, Mapping) or not {"role", "content"} <= message.keys():
        raise BadConversation(f"message {number} has no role or no content")
    role, content = message["role"], message["content"]
    if role not in _ROLES:
        raise BadConversation(
            f"message {number} has the role {role!r}; the roles are {', '.join(_ROLES)}"
        )
    parts = list(_parts(number, content, pictures))
    if role != "user" and any(part["type"] == "image" for part in parts):
        raise BadConversation(f"message {number} is the {role}'s; only the user shows pictures")
    return {"role": role, "content": parts}


def _parts(number: int, content: object, pictures: list[Image.Image]) -> Iterator[dict[str, str]]:
    if isinstance(content, str):
        yield {"type": "text", "text": content}
        return
    if isinstance(content, Mapping) or not isinstance(content, Sequence):
        raise BadConversation(f"the content of message {number} is no text and no list of parts")
    for part in content:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind == "text" and isinstance(part.get("text"), str):
            yield {"type": "text", "text": part["text"]}
        elif kind == "image":
            source = next((part[key] for key in ("image", "path", "url") if key in part), None)
            if source is None:
                raise BadConversation(f"a picture of message {number} says not where it is")
            pictures.append(read_picture(source))
            yield {"type": "image"}
        elif kind == "image_url":
            url = part.get("image_url")
            pictures.append(read_picture(url.get("url") if isinstance(url, Mapping) else url))
            yield {"type": "image"}
        else:
            raise BadConversation(
                f"message {number} has a part of type {kind!r}; the types are text, image and "
                "image_url, each with its own field"
            )


def read_picture(source: Any) -> Image.Image:
    """A picture as a part of a message gives it: what ``open_image`` takes, or a data URL.

    Raises:
        BadImage: It cannot be opened.
    """
    if source is None:
        raise BadImage("a part of type image_url has no url; give a data URL or a path")
    found = _DATA_URL.match(source) if isinstance(source, str) else None
    if found is None:
        return open_image(source)
    encoded = source[found.end() :]
    if len(encoded) > MAX_FILE_BYTES * 4 // 3 + 4:
        raise BadImage(f"the data URL is larger than {MAX_FILE_BYTES // 1_000_000} MB")
    try:
        return open_image(base64.b64decode(encoded, validate=True))
    except binascii.Error as error:
        raise BadImage(f"the data URL is no base64 ({error}); encode the picture anew") from error
