"""MMKE-Bench: entities, visual meanings and a user's own, in free text (Du et al., ICLR 2025).

Its files have MMEdit's fields, a ``knowledge_type``, and hops as VLKEB's multi-hop file, as its
authors' reader takes them (github.com/mmke-bench-bigai/mmke-bench). The further questions that
follow from a correction (``rel*``, ``m_rel*``), and the question that visual meanings have for the
other picture (``image_rephrase_question``), are not read.
"""

from __future__ import annotations

from dataclasses import replace

from liveedit.data.annotations.fields import Fields
from liveedit.data.annotations.record import Annotation
from liveedit.data.annotations.vlkeb import parse_vlkeb

KNOWLEDGE_TYPES = {"entity_level": 0, "user_specific": 1, "visual_knowledge": 2}


def parse_mmke_bench(row: int, fields: Fields) -> Annotation:
    """The row that these fields describe; what cannot be used is noted in ``fields``."""
    fields.one_of("knowledge_type", KNOWLEDGE_TYPES)
    # folders are not named after what a picture shows, as VLKEB's are
    return replace(parse_vlkeb(row, fields), concepts=frozenset())
