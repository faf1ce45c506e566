"""The concepts that scenes show: things with a name and a drawing by each of two artists."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

Split = Literal["train", "validation", "evaluation"]
Drawing = Literal["openmoji", "twemoji"]
DRAWINGS: tuple[Drawing, ...] = get_args(Drawing)


@dataclass(frozen=True, kw_only=True)
class Concept:
    """A thing that a picture can show and a name can tell apart.

    Args:
        name: The canonical English name, after Unicode CLDR, shortened where people do.
        category: What kind of thing it is.
        openmoji: File stem of the OpenMoji drawing.
        twemoji: File stem of the Twemoji drawing.
    """

    name: str
    category: str
    openmoji: str
    twemoji: str

    def file_stem(self, drawing: Drawing) -> str:
        """File stem of one of the two drawings in its own image set."""
        return self.openmoji if drawing == "openmoji" else self.twemoji


@cache
def all_concepts() -> tuple[Concept, ...]:
    """Every concept, in a fixed order."""
    table = files(__package__).joinpath("concepts.tsv").read_text(encoding="utf-8")
    return tuple(Concept(**row) for row in csv.DictReader(table.splitlines(), delimiter="\t"))


@cache
def concepts_by_name() -> dict[str, Concept]:
    """Concept of each name."""
    return {concept.name: concept for concept in all_concepts()}


def other_drawing(drawing: Drawing) -> Drawing:
    """The other artist's hand."""
    return "twemoji" if drawing == "openmoji" else "openmoji"
