"""Whether a vLLM server answers with the edits that are made here; asked once, at the start."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from openai import APIConnectionError, APIError, APIStatusError, AsyncOpenAI

from liveedit.editor import EditedModel
from liveedit.errors import CannotServe
from liveedit.serve.vllm_failures import said_by, unreachable

_log = logging.getLogger(__name__)
NAMESPACE, REVISION, DISABLED = "liveedit_namespace", "liveedit_revision", "liveedit_disabled"
_QUESTION = "What is this?"  # by which its form is seen
_PAUSE = 0.5  # seconds between looks at whether it is there


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a vLLM server is asked by.

    Args:
        name: What it calls its model.
        adds_tokens: Whether it must be told to begin a prompt with what the tokenizer puts there.
    """

    name: str
    adds_tokens: bool


async def check(client: AsyncOpenAI, root: str, model: EditedModel, until: float) -> Found:
    """Make sure that a server answers with the edits of this model's store.

    Args:
        client: Of the server.
        root: Where it listens.
        model: What makes the edits.
        until: When it has to be there, by ``time.monotonic``.

    Raises:
        EngineUnreachable: Nothing answers there.
        CannotServe: It answers without edits, or with those of another store, or it puts questions
            to its model in another form.
    """
    try:
        name = await _named(client, root, until)
        if await _tokens(client, name, {DISABLED: 1}) is None:
            raise CannotServe(
                f"the engine at {root} takes no messages; give it a chat template "
                "(--chat-template), or a model that has one"
            )
        if await _tokens(client, name, {NAMESPACE: f"none {token_hex(8)}"}) is not None:
            raise CannotServe(
                f"the engine at {root} answers without edits: its plugin is not at work; "
                "start it with --additional-config (docs/vllm.md), and look for 'Failed to "
                "load plugin liveedit' in what it says"
            )
        return Found(name=name, adds_tokens=await _adds_tokens(client, root, model, name))
    except APIConnectionError as error:
        raise unreachable(root, "nothing answers there") from error
    except APIError as error:
        raise unreachable(root, said_by(error)) from error


async def _adds_tokens(client: AsyncOpenAI, root: str, model: EditedModel, name: str) -> bool:
    """Whether its prompts are those of edits only with what the tokenizer puts before them."""
    revision = model.store.revision
    found = await _tokens(client, name, {REVISION: revision})
    if found is None:
        raise CannotServe(
            f"the engine at {root} does not know revision {revision} of "
            "the store: it reads another one; give both the same --store"
        )
    backbone = model.backbone
    expected = backbone.encode(backbone.prompt_text(_QUESTION, images=0))
    if found == expected:
        return False
    if await _tokens(client, name, {DISABLED: 1}, add_special_tokens=True) == expected:
        return True
    raise CannotServe(
        f"the engine at {root} puts questions to its model in another form than "
        "the one that edits are made in; start it with the model's own chat template"
    )


async def _named(client: AsyncOpenAI, root: str, until: float) -> str:
    """What it calls its model, once it is there."""
    told = False
    while True:
        try:
            return (await client.models.list()).data[0].id
        except APIConnectionError:
            if time.monotonic() > until:
                raise
        if not told:
            _log.warning("waiting for the engine at %s", root)
            told = True
        await asyncio.sleep(_PAUSE)


async def _tokens(
    client: AsyncOpenAI, name: str, fields: dict[str, Any], *, add_special_tokens: bool = False
) -> list[int] | None:
    """Tokens of a prompt with these fields; None if it is not taken on."""
    try:
        answer = await client.chat.completions.create(
            model=name,
            messages=[{"role": "user", "content": _QUESTION}],
            max_tokens=1,
            extra_body={
                "vllm_xargs": fields,
                "return_token_ids": True,
                "add_special_tokens": add_special_tokens,
            },
        )
    except APIStatusError as error:
        if error.status_code in (400, 404, 422):
            return None
        raise
    return getattr(answer, "prompt_token_ids", None) or []
