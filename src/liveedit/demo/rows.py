"""One correction of the demonstration, with every answer it was tested by."""

from __future__ import annotations

from dataclasses import dataclass

from liveedit.benchmark.metrics import same_answer
from liveedit.demo.cases import DemoCase


@dataclass(frozen=True, kw_only=True)
class DemoRow(DemoCase):
    """What was asked about one correction, and what the model answered.

    Args:
        before: Answer before the correction.
        after: Answer to the same question after it.
        rephrased: Answer to the question in other words.
        about_another: Answer to the same question about ``another``.
        neighbour_before: The neighbour's answer before the correction.
        neighbour_after: The neighbour's answer after it.
        revoked: Answer to the same question once the correction is revoked.
    """

    before: str
    after: str
    rephrased: str
    about_another: str
    neighbour_before: str
    neighbour_after: str
    revoked: str

    @property
    def corrected(self) -> bool:
        """Whether the same question now gets the target."""
        return self._is_target(self.after)

    @property
    def rephrased_right(self) -> bool:
        """Whether the question in other words gets the target."""
        return self._is_target(self.rephrased)

    @property
    def another_right(self) -> bool:
        """Whether the same question about another picture of it gets the target."""
        return self._is_target(self.about_another)

    @property
    def neighbour_kept(self) -> bool:
        """Whether the neighbour is answered to the letter as before."""
        return self.neighbour_after == self.neighbour_before

    @property
    def forgotten(self) -> bool:
        """Whether revoking brought back, to the letter, the answer given before."""
        return self.revoked == self.before

    def failures(self) -> tuple[str, ...]:
        """Say in plain English which checks failed, in the order they were made."""
        target = _quote(self.target)
        checks = (
            (
                self.corrected,
                f"The same question gets {_quote(self.after)} instead of {target}.",
            ),
            (
                self.rephrased_right,
                f"The rephrased question gets {_quote(self.rephrased)} instead of {target}.",
            ),
            (
                self.another_right,
                f"Another picture of it gets {_quote(self.about_another)} instead of {target}.",
            ),
            (
                self.neighbour_kept,
                f"The neighbour’s answer changed from {_quote(self.neighbour_before)} "
                f"to {_quote(self.neighbour_after)}.",
            ),
            (
                self.forgotten,
                f"After revoking, the question gets {_quote(self.revoked)}; "
                f"before the correction it got {_quote(self.before)}.",
            ),
        )
        return tuple(failure for succeeded, failure in checks if not succeeded)

    def as_json(self) -> dict[str, str]:
        """Questions and answers, without the pictures."""
        return {
            "family": self.family,
            "prompt": self.prompt,
            "target": self.target,
            "before": self.before,
            "after": self.after,
            "rephrased_prompt": self.rephrased_prompt,
            "rephrased": self.rephrased,
            "about_another": self.about_another,
            "neighbour_prompt": self.neighbour_prompt,
            "neighbour_before": self.neighbour_before,
            "neighbour_after": self.neighbour_after,
            "revoked": self.revoked,
        }

    def _is_target(self, answer: str) -> bool:
        return same_answer(answer, self.target)


def _quote(answer: str) -> str:
    return f"“{answer}”" if answer.strip() else "no answer"
