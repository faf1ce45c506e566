"""A message of several lines is looked at by its first and last line, too: one is the question.

What else stands in a message changes the states that are routed by: an edit that the question alone
is sure of is often missed, or weighs little. So of the message and its lines, each as if it had
been asked alone, the one decides for which an edit weighs most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from liveedit.backbones.query import Questions
from liveedit.methods.liveedit.features import QueryInputs, RoutingFeatures
from liveedit.methods.route import Route

LONGEST = 300  # characters of a line that may be a question


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Lines of some messages of a batch.

    Args:
        features: As if each had been asked alone, about its message's pictures.
        owner: The message of each.
        questions: The words of each.
    """

    features: RoutingFeatures
    owner: Int[Tensor, " lines"]
    questions: Sequence[str]

    def behind(self, messages: RoutingFeatures) -> RoutingFeatures:
        """Features of the messages, then those of the lines, which count as long as the message."""
        both = RoutingFeatures.join([messages, self.features])
        length = None if messages.length is None else messages.length[self.owner]
        if messages.length is not None and length is not None:
            both = replace(both, length=torch.cat([messages.length, length]))
        return replace(both, inputs=messages.inputs and self._inputs(messages.inputs, messages))

    def _inputs(self, inputs: QueryInputs, messages: RoutingFeatures) -> QueryInputs:
        """What the messages and the lines show and ask."""
        count = len(messages.sees)
        shown = inputs.take(self.rows(count).tolist())

        def question_of(row: int) -> str | None:
            return inputs.question(row) if row < count else self.questions[row - count]

        questions = None if inputs.get_question is None else question_of
        return QueryInputs(shown.picture, range(len(shown.rows)), questions, shown.identity_of)

    def rows(self, messages: int) -> Int[Tensor, " rows"]:
        """The message that each row of such features belongs to."""
        return torch.cat([torch.arange(messages, device=self.owner.device), self.owner])

    def decide(self, route: Route) -> Route:
        """The messages' route, given that of both: of message and lines the heaviest."""
        count = len(route.weights) - len(self.owner)
        chosen = torch.arange(count, device=self.owner.device)
        best = route.weights.amax(1)
        for row, owner in enumerate(self.owner.tolist(), count):
            if best[row] > best[chosen[owner]]:
                chosen[owner] = row
        return Route(
            vision=route.vision[chosen],
            threshold=route.threshold[chosen],
            prompt=route.prompt[chosen],
            passes=route.passes[chosen],
            weights=route.weights[chosen],
        )


def lines_of(questions: Questions) -> tuple[Questions, list[int]] | None:
    """First and last lines of the messages that have several, and whose each is; None if none has.

    Args:
        questions: A batch.
    """
    found = [(row, line) for row, one in enumerate(questions.prompts) for line in _outer(one)]
    if not found:
        return None
    owners, lines = zip(*found, strict=True)
    return Questions(pictures=[questions.pictures[row] for row in owners], prompts=lines), [*owners]


def _outer(prompt: str) -> Sequence[str]:
    lines = [line.strip() for line in prompt.splitlines() if line.strip()]
    if len(lines) < 2:
        return ()
    return [line for line in dict.fromkeys((lines[0], lines[-1])) if len(line) <= LONGEST]
