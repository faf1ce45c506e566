"""VLKEB: MMEdit's fields, pictures in one folder for each entity, and portability."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath
from typing import cast

from liveedit.data.annotations.fields import Fields
from liveedit.data.annotations.mmedit import parse_mmedit
from liveedit.data.annotations.record import Annotation, PortabilityHop

_LENGTHS = {"1-hop": 1, "2-hop": 2, "3-hop": 3, "4-hop": 4}


def parse_vlkeb(row: int, fields: Fields) -> Annotation:
    """The row that these fields describe; what cannot be used is noted in ``fields``.

    ``port_new`` may be absent: only the one-hop and multi-hop files have it.
    """
    annotation = parse_mmedit(row, fields)
    image = cast(PurePosixPath, annotation.image)
    return replace(
        annotation,
        portability=tuple(_hop(inner) for inner in fields.inner_list("port_new")),
        concepts=frozenset(image.parts[:-1]),  # the folder is named after the entity
    )


def _hop(fields: Fields) -> PortabilityHop:
    """A hop of the multi-hop file, which states its length, or else of the one-hop file."""
    if "port_type" in fields:
        asked = fields.inner("Q&A")
        return PortabilityHop(
            length=fields.one_of("port_type", _LENGTHS),
            question=asked.text("Question"),
            answer=asked.text("Answer"),
        )
    return PortabilityHop(
        length=1,
        question=fields.text("port_q"),
        answer=fields.text("port_a"),
        edited_question=fields.text("port_edit_q"),
        edited_answer=fields.text("port_edit_a"),
    )
