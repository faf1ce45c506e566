"""What requests may hold: the part of OpenAI's chat interface that has a meaning here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from liveedit.methods.outcome import Supersede

_Text = Annotated[str, Field(max_length=200_000)]
_Stop = Annotated[str, Field(min_length=1, max_length=200)]
_IMAGE = "data:image/"
NO_SUCH_FIELD = "no_such_field"
Fetch: TypeAlias = Callable[[str], bytes]


class _Strict(BaseModel):
    """What is no field is refused, and those that are fields are named."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _known(cls, given: object) -> object:
        for name in given if isinstance(given, dict) else ():
            if name not in cls.model_fields:
                fields = ", ".join(cls.model_fields)
                raise PydanticCustomError(
                    NO_SUCH_FIELD,
                    "there is no such field; give {fields}",
                    {"field": name, "fields": fields},
                )
        return given


class ImageUrl(BaseModel):
    """Where a picture is: in the request itself, as a data URL."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    url: str


class Part(BaseModel):
    """A part of a message."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    type: Literal["text", "image_url"]
    text: _Text | None = None
    image_url: ImageUrl | None = None


class Message(BaseModel):
    """A message of a conversation."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    role: Literal["system", "developer", "user", "assistant"]
    content: _Text | list[Part]


class StreamOptions(BaseModel):
    """What a stream tells beside the answer."""

    model_config = ConfigDict(extra="ignore", frozen=True)
    include_usage: bool = False


class ChatRequest(BaseModel):
    """``POST /v1/chat/completions``; fields of OpenAI's that have no meaning here are passed over.

    Beyond OpenAI's: ``namespace``, ``revision`` and ``edits``.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)
    model: str = ""
    messages: list[Message] = Field(min_length=1, max_length=1000)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_completion_tokens: int | None = Field(default=None, ge=1)
    max_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    n: int = Field(default=1, ge=1)
    stop: _Stop | Annotated[list[_Stop], Field(max_length=4)] | None = None
    seed: int | None = None
    logprobs: bool = False
    top_logprobs: int = Field(default=0, ge=0, le=20)
    namespace: str | None = None
    revision: int | None = Field(default=None, ge=0)
    edits: bool = True


class EditRequest(_Strict):
    """``POST /v1/edits`` and ``/v1/edits:preview``."""

    prompt: _Text | None = None
    images: list[str] = []
    messages: list[Message] | None = None
    target: _Text
    rephrasings: list[_Text] = Field(default=[], max_length=32)
    reason: str = Field(default="", max_length=2000)
    namespace: str | None = None
    supersede: Supersede | None = None
    keep: bool = False


class ReasonRequest(_Strict):
    """Why an edit is revoked or restored."""

    reason: str = Field(default="", max_length=2000)


class ManyRequest(ReasonRequest):
    """Which edits are revoked or restored together, and why."""

    ids: list[str] = Field(min_length=1, max_length=200)


def pictures_in(messages: list[Message]) -> int:
    """How many pictures a conversation shows."""
    return sum(
        part.type == "image_url"
        for message in messages
        if not isinstance(message.content, str)
        for part in message.content
    )


def as_conversation(messages: list[Message], fetch: Fetch | None) -> list[dict[str, Any]]:
    """Messages as a model takes them.

    Args:
        messages: A conversation.
        fetch: Gets pictures that are not in the request itself; None for nothing but those.

    Raises:
        ValueError, BadImage: See :func:`picture_in`.
    """
    return [
        {
            "role": "system" if message.role == "developer" else message.role,
            "content": message.content
            if isinstance(message.content, str)
            else [_part(part, fetch) for part in message.content],
        }
        for message in messages
    ]


def picture_in(url: str, fetch: Fetch | None) -> str | bytes:
    """A picture's data URL, or what is at its address; no file of ours is read.

    Raises:
        ValueError: It is an address, and none is fetched.
        BadImage: It cannot be fetched.
    """
    if url.lstrip()[: len(_IMAGE)].casefold() == _IMAGE:
        return url
    if fetch is None:
        raise ValueError(
            "pictures are given as data URLs (data:image/png;base64,...); addresses are not fetched"
        )
    return fetch(url)


def _part(part: Part, fetch: Fetch | None) -> dict[str, Any]:
    if part.type == "text":
        return {"type": "text", "text": part.text or ""}
    if part.image_url is None:
        raise ValueError("a part of type image_url has no image_url")
    return {"type": "image", "image": picture_in(part.image_url.url, fetch)}
