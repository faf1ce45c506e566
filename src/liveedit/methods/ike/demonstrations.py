"""Demonstrations: facts, a question beside each, and the answer that it should have."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from jaxtyping import Float
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.methods.shared.memory.calibrated import unreadable
from liveedit.methods.shared.sentence_encoder import encode_questions
from liveedit.methods.shared.training.examples import Example
from liveedit.methods.shared.training.said import said_by_model
from liveedit.saving.files import write_whole

Kind = Literal["copy", "update", "retain"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FILE = "demonstrations.json"
_TOKENS = 16  # longest answer of the unedited model


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """One of them.

    Args:
        kind: ``copy`` asks the fact itself, ``update`` asks it in other words, ``retain`` asks
            something else.
        prompt: The fact's question.
        target: Its answer.
        question: What is asked.
        answer: The target; of ``retain`` what the unedited model says.
    """

    kind: Kind
    prompt: str
    target: str
    question: str
    answer: str


def make_demonstrations(
    backbone: Backbone, examples: Sequence[Example]
) -> tuple[Demonstration, ...]:
    """Three of each example, as far as it has questions that it concerns and that it does not."""
    made, asked = [], []
    for one in examples:
        fact = {"prompt": one.correction.prompt, "target": one.correction.target}
        made.append(
            Demonstration(
                kind="copy", question=one.correction.prompt, answer=one.correction.target, **fact
            )
        )
        for _, question in one.concerned[:1]:
            made.append(
                Demonstration(
                    kind="update", question=question, answer=one.correction.target, **fact
                )
            )
        # the same question about another picture would contradict the fact: text shows no picture
        others = [other for other in one.unconcerned if other[1] != one.correction.prompt]
        asked += [(fact, other) for other in others[:1]]
    answers = said_by_model(backbone, [other for _, other in asked], tokens=_TOKENS)
    for (fact, (_, question)), answer in zip(asked, answers, strict=True):
        made.append(Demonstration(kind="retain", question=question, answer=answer, **fact))
    return tuple(made)


def save_demonstrations(pool: Sequence[Demonstration], folder: Path) -> None:
    """Write them as JSON, whole or not at all."""
    listed = [asdict(one) for one in pool]
    write_whole(folder / FILE, json.dumps(listed, indent=1, ensure_ascii=False) + "\n")


def load_demonstrations(folder: Path) -> tuple[Demonstration, ...]:
    """Read them.

    Raises:
        BadCheckpoint: They are missing or something else.
    """
    try:
        listed = json.loads((folder / FILE).read_text(encoding="utf-8"))
        pool = tuple(Demonstration(**one) for one in listed)
        if not pool or any(one.kind not in KINDS for one in pool):
            raise ValueError(f"{FILE} holds no demonstrations")
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise unreadable(folder, error, "ike") from error
    return pool


class Demonstrations:
    """A pool of them, and which are nearest to a fact.

    Args:
        pool: All, of any kind.
    """

    def __init__(self, pool: Sequence[Demonstration]) -> None:
        self.pool = tuple(pool)
        self._keys: Float[Tensor, "pool width"] = encode_questions([_fact(one) for one in pool])

    def nearest(self, prompt: str, target: str, counts: Mapping[Kind, int]) -> list[Demonstration]:
        """So many of each kind by the cosine of their facts, the nearest last.

        Args:
            prompt: The correction's question.
            target: Its answer.
            counts: How many of each kind.
        """
        alike = (self._keys @ encode_questions([f"{prompt} {target}"])[0]).tolist()
        found: list[tuple[float, int]] = []
        for kind, count in counts.items():
            own = [(alike[at], at) for at, one in enumerate(self.pool) if one.kind == kind]
            found += sorted(own, reverse=True)[:count]
        return [self.pool[at] for _, at in sorted(found)]


def _fact(one: Demonstration) -> str:
    return f"{one.prompt} {one.target}"
