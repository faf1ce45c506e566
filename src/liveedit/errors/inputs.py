"""Questions, corrections and options that cannot be answered or learned."""

from __future__ import annotations

from liveedit.errors.base import LiveEditError


class UnsupportedGeneration(LiveEditError):
    """A way of generating that routing at prefill cannot follow."""


class ControlTokenInText(LiveEditError):
    """A prompt or target holds a string that the tokenizer would read as a control token."""

    def __init__(self, token: str) -> None:
        super().__init__(f"the text holds the control token {token!r}; write it in another way")


class BadImage(LiveEditError):
    """A picture that is missing, cannot be read, or is not a picture."""


class BadConversation(LiveEditError):
    """A conversation that is empty, ends with the assistant, or has unknown roles or parts."""


class EmptyText(LiveEditError):
    """A prompt or target without any text."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the {what} is empty; say in words what it should be")


class TextTooLong(LiveEditError):
    """A prompt or target of more characters than are accepted."""

    def __init__(self, what: str, *, characters: int, limit: int) -> None:
        super().__init__(f"the {what} has {characters} characters; shorten it to {limit} or fewer")


class TargetTooLong(LiveEditError):
    """A target of more tokens than are accepted."""

    def __init__(self, *, tokens: int, limit: int) -> None:
        super().__init__(f"the target has {tokens} tokens; shorten it to {limit} or fewer")


class ContextTooLong(LiveEditError):
    """A question, with its pictures and what precedes it, that does not fit into the model."""

    def __init__(self, *, tokens: int, limit: int) -> None:
        super().__init__(
            f"question, pictures and answer have {tokens} tokens, and the model takes {limit}; "
            "shorten them"
        )


class BadText(LiveEditError):
    """A prompt or target that neither a tokenizer nor a store can hold."""

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"the {what} {problem}")


class BadRequestField(LiveEditError):
    """A field of a request to vLLM that is unknown, or asks for what is not served."""
