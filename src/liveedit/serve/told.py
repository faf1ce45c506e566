"""What answers hold, for the OpenAPI document."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class Problem(BaseModel):
    """What is wrong with a request."""

    message: str
    type: str
    param: str | None
    code: str | None


class ProblemBody(BaseModel):
    """An error, as OpenAI's API tells it."""

    error: Problem


class Fired(BaseModel):
    """Which edits answered, if what answers can tell, as of which revision."""

    revision: int
    fired: dict[str, float] | None = None


class Usage(BaseModel):
    """Tokens."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class SaidMessage(BaseModel):
    """What the model says."""

    role: Literal["assistant"]
    content: str
    refusal: None


class Choice(BaseModel):
    """One answer."""

    index: int
    message: SaidMessage
    finish_reason: Literal["stop", "length"]
    logprobs: dict[str, Any] | None


class Completion(BaseModel):
    """Answers to a conversation."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[Choice]
    usage: Usage
    liveedit: Fired


class ModelRow(BaseModel):
    """A model that can be asked."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class ModelList(BaseModel):
    """All of them."""

    object: Literal["list"]
    data: list[ModelRow]


class EditRow(BaseModel):
    """What is kept of an edit."""

    object: Literal["edit"]
    id: str
    namespace: str
    image: str | None
    prompt: str
    target: str
    author: str
    reason: str
    created: str
    supersedes: list[str]
    rephrasings: list[str]


class EntryRow(EditRow):
    """An edit, and what has become of it."""

    revision: int
    state: Literal["in force", "superseded", "revoked"]


class ConflictRow(BaseModel):
    """An earlier edit about the same or the like."""

    id: str
    kind: str
    similarity: float
    prompt: str
    target: str


class OutcomeRow(EditRow):
    """What came, or would come, of a correction."""

    reached: bool | None
    answer: str | None
    steps: int
    conflicts: list[ConflictRow]


class MadeRow(OutcomeRow):
    """An edit that was made."""

    revision: int


class EditList(BaseModel):
    """A page of edits."""

    object: Literal["list"]
    data: list[EntryRow]
    has_more: bool
    next: int | None
    total: int


class EntryList(BaseModel):
    """Some edits."""

    object: Literal["list"]
    data: list[EntryRow]


class RevisionRow(BaseModel):
    """Something that was done."""

    revision: int
    kind: str
    edits: list[str]
    author: str
    reason: str
    created: str


class RevisionList(BaseModel):
    """What was done, the oldest first."""

    object: Literal["list"]
    data: list[RevisionRow]
    newest: int


class ImportedRow(BaseModel):
    """What came of an import."""

    added: int
    known: int
    revision: int


class Status(BaseModel):
    """How the server is."""

    status: str
    waiting: int | None = None


REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": ProblemBody, "description": told}
    for status, told in (
        (400, "The request cannot be understood"),
        (401, "No key, or none that is good"),
        (403, "The key has not the right"),
        (404, "There is no such thing"),
        (408, "The request was not sent in time"),
        (409, "It contradicts what is there"),
        (413, "The request is too long"),
        (422, "The model would still answer something else"),
        (429, "Too much is asked; see Retry-After"),
        (500, "Something went wrong"),
        (503, "Not now; try again"),
        (507, "There is no room left"),
    )
}
