"""Facts about made-up subjects, eight about each, written apart from the training's relations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from liveedit.data.emoji_edit.free_words import HeldBack, words
from liveedit.data.emoji_edit.knowledge import TextCase


@dataclass(frozen=True, kw_only=True)
class MadeUpFact:
    """One fact.

    Args:
        kind: Kind of the subject.
        subject: Its name.
        number: Number of the fact among those of the kind.
        question: What is asked.
        rephrasings: The same in other words, one of them typed in a hurry.
        answer: The answer.
        others: The same question about subjects that nothing is said of.
    """

    kind: str
    subject: str
    number: int
    question: str
    rephrasings: tuple[str, ...]
    answer: str
    others: tuple[str, ...]


@cache
def made_up_facts(split: HeldBack) -> tuple[MadeUpFact, ...]:
    """All facts of a split, subject by subject."""
    return tuple(
        MadeUpFact(
            kind=kind,
            subject=subject,
            number=number,
            question=fact["question"].replace("{thing}", subject),
            rephrasings=tuple(text.replace("{thing}", subject) for text in fact["rephrasings"]),
            answer=fact["answers"][place],
            others=tuple(fact["question"].replace("{thing}", one) for one in table["others"]),
        )
        for kind, table in words(f"facts_{split}").items()
        for place, subject in enumerate(table["subjects"])
        for number, fact in enumerate(table["facts"])
    )


def made_up_cases(split: HeldBack) -> list[TextCase]:
    """The same as text-only corrections; of the rephrasings in turn one."""
    facts = made_up_facts(split)
    return [
        TextCase(
            index=index,
            family=f"{fact.kind}: {fact.number}",
            thing=fact.subject,
            question=fact.question,
            rephrase=fact.rephrasings[index % len(fact.rephrasings)],
            other_family=f"{fact.kind}: {fact.number}",
            other_thing="",
            other_question=fact.others[index % len(fact.others)],
            target=fact.answer,
        )
        for index, fact in enumerate(facts)
    ]
