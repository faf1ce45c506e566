"""Questions that were asked lately, so that a correction can be tried on them before it is made."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from liveedit.correction.images import Pictures

_KEPT = 200


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question with the answer that was given.

    Args:
        namespace: Whose edits answered.
        image: Identity of the picture.
        pictures: What was shown.
        prompt: What was asked.
        answer: What was said.
    """

    namespace: str
    image: str | None
    pictures: Pictures = field(repr=False)
    prompt: str
    answer: str


class Recent:
    """The last questions, in memory alone."""

    def __init__(self) -> None:
        self._asked: deque[Asked] = deque(maxlen=_KEPT)

    def add(self, asked: Asked) -> None:
        """Keep a question; the oldest is forgotten, and the same one of before."""
        same = next((one for one in self._asked if _key(one) == _key(asked)), None)
        if same is not None:
            self._asked.remove(same)
        self._asked.append(asked)

    def about(self, namespace: str, image: str | None, *, most: int) -> Sequence[Asked]:
        """The last ones about a picture, the latest first."""
        found = [
            one for one in reversed(self._asked)
            if one.namespace == namespace and one.image == image
        ]  # fmt: skip
        return found[:most]


def _key(one: Asked) -> tuple[str, str | None, str]:
    return one.namespace, one.image, one.prompt
