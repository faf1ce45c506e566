"""Relations: what else can be asked about the thing in a picture, or about a made-up subject.

For training alone. A router that has met sixteen questions takes a seventeenth for one of them; one
that has met hundreds has to read.
"""

from __future__ import annotations

from functools import cache

from liveedit.data.emoji_edit.families import Family
from liveedit.data.emoji_edit.free_words import words


def _unknowable(*_: object) -> None:
    """Nothing in a picture says it."""


@cache
def picture_relations() -> tuple[Family, ...]:
    """As question families about a picture of one thing."""
    return tuple(
        Family(
            name=name,
            counts=(1,),
            answer_type=relation["answer"],
            training=(relation["patterns"][0],),
            more=tuple(relation["patterns"]),
            indirect=(),
            noun=(),
            evaluation=(),
            truth=_unknowable,
        )
        for name, relation in words("picture_relations").items()
    )


@cache
def kinds() -> tuple[str, ...]:
    """Kinds of made-up subjects."""
    return tuple(words("relations")["relations"])


@cache
def relations(kind: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """What can be asked about a subject of a kind: type of the answer, and patterns."""
    found = words("relations")["relations"][kind]
    return {name: (one["answer"], tuple(one["patterns"])) for name, one in found.items()}
