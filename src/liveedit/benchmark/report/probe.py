"""One line of ``records-N.jsonl``: a question that was asked, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from liveedit.benchmark.metrics import TEXT_VIEW_OF, WANT_TARGET

Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Fired:
    """An expert that answered.

    Args:
        case: Number of the correction that it came from.
        text_only: Whether that is a text-only correction.
        weight: Its weight.
    """

    case: int
    text_only: bool
    weight: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """A question and what the edited model made of it.

    Args:
        case: Number of the correction, among those with a picture, the text-only ones or the hops.
        metric: What is measured.
        prompt: The question.
        expected: The target; for locality, the unedited model's answer.
        answer: Freely generated; None without generation.
        accuracy: Share of the expected tokens under teacher forcing; for locality, agreement with
            the unedited model.
        before: The same of the unedited model; None for locality.
        exact: Whether the generated answer is the expected one.
        passed: Experts that pass the filters; None for a method that has none.
        own: Weight of the correction's own expert.
        margin: Similarity of the own edit's picture less the hard filter's threshold.
        asked: Similarity of the own edit's question less its margin.
        top: The heaviest expert routed to.
        owner: Of a hop: number of the correction it follows from.
    """

    case: int
    metric: str
    prompt: str
    expected: str
    answer: str | None = None
    accuracy: Share
    before: Share | None = None
    exact: bool | None = None
    passed: int | None = None
    own: float | None = None
    margin: float | None = None
    asked: float | None = None
    top: Fired | None = None
    owner: int | None = None

    @property
    def text_only(self) -> bool:
        """Whether the correction has no picture."""
        return self.metric in TEXT_VIEW_OF

    @property
    def wants_target(self) -> bool:
        """Whether the correction's answer is wanted, and not the unedited model's."""
        return self.metric in WANT_TARGET or self.metric.startswith("portability")

    @property
    def right(self) -> bool:
        """Whether the generated answer is right; without one, whether every token is."""
        return self.accuracy == 1 if self.exact is None else self.exact

    @property
    def fired_wrongly(self) -> bool:
        """Whether any expert answers for locality, or mostly another than the own one."""
        if not self.wants_target:
            return bool(self.passed) or self.top is not None
        if self.top is None:
            return bool(self.passed) and not self.own
        return not self.own_fired

    @property
    def own_fired(self) -> bool:
        """Whether the heaviest expert is the correction's own."""
        corrected = self.case if self.owner is None else self.owner
        return self.top is not None and (self.top.case, self.top.text_only) == (
            corrected,
            self.text_only,
        )

    @property
    def missed(self) -> bool:
        """Whether the correction's answer is wanted and its own expert has no part in it."""
        return self.wants_target and self.own == 0
