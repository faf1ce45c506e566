"""What is told where a vLLM server does not answer as it should."""

from __future__ import annotations

from openai import APIError, APIStatusError

from liveedit.errors import EngineRefused, EngineUnreachable


def refusal(root: str, error: APIError) -> Exception:
    """What is told of an error; within a stream its status is in what the engine says."""
    told = error.body.get("code") if isinstance(error.body, dict) else None
    status = error.status_code if isinstance(error, APIStatusError) else told
    if isinstance(status, int) and status < 500:
        return EngineRefused(f"the engine refuses it: {said_by(error)}")
    return unreachable(root, said_by(error))


def said_by(error: APIError) -> str:
    """What the engine says of it, without what its client adds."""
    told = error.body.get("message") if isinstance(error.body, dict) else None
    return str(told or error.message)


def unreachable(root: str, problem: str) -> EngineUnreachable:
    """What it is that does not answer, and where to look."""
    return EngineUnreachable(
        f"the engine at {root} cannot answer ({problem}); look whether vLLM runs there"
    )
