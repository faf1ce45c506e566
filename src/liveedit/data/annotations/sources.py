"""Either side of an audit: an annotation file, or emoji-edit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from liveedit.data.annotations.datasets import EMOJI_EDIT, dataset_named, recognise
from liveedit.data.annotations.emoji import emoji_annotations
from liveedit.data.annotations.reading import load_rows, usable_rows
from liveedit.data.annotations.record import Annotation
from liveedit.data.emoji_edit.concepts import Split


@dataclass(frozen=True, kw_only=True)
class Source:
    """Rows, and what they were made of.

    Args:
        dataset: Name of the dataset.
        annotations: The rows.
        original: The rows as the file has them; None where there is no file.
    """

    dataset: str
    annotations: list[Annotation]
    original: list[object] | None


def open_source(source: str, split: Split, dataset: str | None = None) -> Source:
    """All rows of a source.

    Args:
        source: Path of an annotation file, or ``emoji-edit``.
        split: Which part of emoji-edit; a file is a part already.
        dataset: Name of the file's dataset; by default it is recognised from the fields.

    Raises:
        BadAnnotations: The file cannot be read or recognised, or holds a row that cannot be used.
        UnknownDataset: There is no dataset of this name.
    """
    if source == EMOJI_EDIT:
        rows = emoji_annotations(split)
        return Source(dataset=EMOJI_EDIT, annotations=rows, original=None)
    original = load_rows(Path(source))
    format_ = dataset_named(dataset) if dataset else recognise(original, source)
    return Source(
        dataset=format_.name,
        annotations=usable_rows(original, format_, source),
        original=original,
    )
