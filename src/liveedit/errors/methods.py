"""What an editing method cannot do, or did not reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from liveedit.errors.base import LiveEditError


class MethodCannot(LiveEditError):
    """Something that an editing method is not able to do."""

    def __init__(self, method: str, what: str, *, instead: str) -> None:
        super().__init__(f"the method {method!r} cannot {what}; {instead}")


def cannot_restore(method: str) -> MethodCannot:
    """Why an edit that was taken back cannot be restored by a method that made others again."""
    return MethodCannot(
        method,
        "put a revoked edit in force again, since others were made without it",
        instead="correct the answer anew",
    )


class TextOnlyCorrection(MethodCannot):
    """A correction without a picture, for a method or an editor that has no use for it."""

    def __init__(self, method: str, *, instead: str = "give a picture") -> None:
        super().__init__(method, "take a correction without a picture", instead=instead)


class UnknownMethod(LiveEditError):
    """An editing method that is not known by this name."""

    def __init__(self, name: str, *, known: list[str], nearest: str | None) -> None:
        hint = f"did you mean {nearest!r}?" if nearest else "give one of those"
        super().__init__(f"there is no method {name!r} among {', '.join(known)}; {hint}")


class BadSettings(LiveEditError):
    """Settings that a method does not take."""


class BrokenPlugin(LiveEditError):
    """An installed package that offers a method, model or family, but cannot be imported."""

    def __init__(self, what: str, name: str, *, source: str, problem: str) -> None:
        super().__init__(
            f"the {what} {name!r} of the package {source} cannot be imported ({problem}); install "
            "it anew, or remove it; everything else works"
        )


class TargetNotReached(LiveEditError):
    """Corrections that the model would not follow; nothing of their batch was written.

    Args:
        outcomes: What came of each, with the answer that the model would give.
        written: Edits of earlier batches of the same import, which were.
    """

    def __init__(self, outcomes: Sequence[Any], *, written: int = 0) -> None:
        one = outcomes[0]
        more = f" (and {len(outcomes) - 1} more)" if len(outcomes) > 1 else ""
        kept = f"only the {written} before were" if written else "nothing was"
        super().__init__(
            f"{_short(one.edit.prompt)} would still be answered {_short(one.answer)}, not "
            f"{_short(one.edit.target)}{more}; {kept} written: word the target otherwise, or "
            "put it in force all the same with keep=True (--keep)"
        )
        self.outcomes = tuple(outcomes)


def _short(text: str | None) -> str:
    text = text or ""
    return repr(text if len(text) <= 100 else f"{text[:99]}…")
