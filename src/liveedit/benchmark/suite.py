"""What a benchmark asks: its corrections, what is in force beside them, and the groups of N."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from liveedit.benchmark.metrics import FACT_VIEW_OF, TEXT_VIEW_OF
from liveedit.data.annotations.cases import FactCase, HopCase, file_cases, hop_cases
from liveedit.data.annotations.datasets import (
    CORRECTIONS,
    EMOJI_EDIT,
    PHOTO_EDIT,
    dataset_named,
)
from liveedit.data.annotations.reading import read_annotations
from liveedit.data.annotations.templates import apply_template
from liveedit.data.emoji_edit.corrections import EVALUATION_SIZE, evaluation_set, validation_set
from liveedit.data.emoji_edit.free_words import HeldBack
from liveedit.data.emoji_edit.knowledge import text_evaluation_set, text_validation_set
from liveedit.data.photo_edit.corrections import Near, photo_set
from liveedit.data.photo_edit.folder import PhotoFolder, read_photo_folder
from liveedit.data.sources import check_pictures, corrections_of
from liveedit.data.stand_ins import StandIns, StoodIn, read_stand_ins, stand_ins_of
from liveedit.data.stated_cases import stated_cases
from liveedit.data.views import Case

TEXT_SHARE = 0.1  # text-only corrections in force, of the number of those with a picture


@dataclass(frozen=True, kw_only=True)
class Group:
    """Edits that are in force together, and what is asked then.

    Args:
        edited: Numbers of the corrections with a picture, the oldest first.
        texts: Numbers of the text-only ones.
        asked: Corrections with a picture that are asked about; all edited ones by default.
        hops: Numbers of the portability questions that are asked.
    """

    edited: Sequence[int]
    texts: Sequence[int]
    asked: Sequence[int] | None = None
    hops: Sequence[int] = ()

    @property
    def probed(self) -> Sequence[int]:
        """Corrections that are asked about."""
        return self.edited if self.asked is None else self.asked


@dataclass(frozen=True, kw_only=True)
class Suite:
    """The corrections of a benchmark.

    Args:
        name: Of the dataset.
        pictured: Corrections with a picture.
        texts: Text-only ones: dealt to the groups in turn, or, where they are facts of hops, with
            the correction they belong to.
        text_views: What each metric asks about a text-only one.
        hops: Portability questions.
        stood_in: Which pictures are not there, and what is in their place.
        probed: Only the first so many are asked about; what others are probed by, one of the
            corrections may change.
    """

    name: str
    pictured: Sequence[Case]
    texts: Sequence[Case]
    text_views: Mapping[str, str] = field(default_factory=lambda: TEXT_VIEW_OF)
    hops: Sequence[HopCase] = ()
    stood_in: StoodIn | None = None
    probed: int | None = None

    def groups(self, edits: int, asked: int | None = None) -> list[Group]:
        """Consecutive groups of N corrections, the tail included.

        Args:
            edits: N.
            asked: Ask about the first so many corrections alone; groups without any are left out.
        """
        groups = groups_of(len(self.pictured), 0 if self.hops else len(self.texts), edits)
        asked = min((count for count in (asked, self.probed) if count is not None), default=None)
        if asked is not None:
            groups = [
                replace(group, asked=range(group.edited[0], min(group.edited[-1] + 1, asked)))
                for group in groups
                if group.edited[0] < asked
            ]
        if not self.hops:
            return groups
        facts = [case for case in self.texts if isinstance(case, FactCase)]
        return [
            replace(group, texts=_owned(facts, group.edited), hops=_owned(self.hops, group.probed))
            for group in groups
        ]


def groups_of(count: int, texts: int, edits: int) -> list[Group]:
    """Consecutive groups of N corrections, each with N/10 text-only ones (at least one).

    Args:
        count: Corrections with a picture.
        texts: Text-only corrections, used in turn.
        edits: N.
    """
    beside = min(texts, math.ceil(edits * TEXT_SHARE))
    return [
        Group(
            edited=range(start, min(start + edits, count)),
            texts=[(number * beside + at) % texts for at in range(beside)],
        )
        for number, start in enumerate(range(0, count, edits))
    ]


def emoji_suite(split: str = "evaluation", limit: int | None = None) -> Suite:
    """emoji-edit's fixed corrections.

    Args:
        split: ``evaluation``, or ``validation`` to choose settings on.
        limit: Only the first ones.
    """
    pictured = evaluation_set(limit) if split == "evaluation" else validation_set(limit)
    probed = EVALUATION_SIZE if len(pictured) > EVALUATION_SIZE else None
    return Suite(name=EMOJI_EDIT, pictured=pictured, texts=_texts(split), probed=probed)


def photo_suite(
    folder: PhotoFolder, split: HeldBack, near: Near | None, limit: int | None = None
) -> Suite:
    """Corrections about photographs.

    Args:
        folder: Photographs by class.
        split: ``evaluation``, or ``validation`` to choose settings on.
        near: Which classes look alike; see `photo_set`.
        limit: Only the first ones.

    Raises:
        BadAnnotations: The folder has too few classes of this split.
    """
    pictured = photo_set(folder, split, near=near, limit=limit)
    return Suite(name=PHOTO_EDIT, pictured=pictured, texts=_texts(split))


def _texts(split: str) -> Sequence[Case]:
    return text_evaluation_set() if split == "evaluation" else text_validation_set()


def file_suite(
    name: str,
    annotations: Path,
    images: Path,
    limit: int | None = None,
    *,
    stand_ins: StandIns | None = None,
) -> Suite:
    """A public benchmark, its questions in the affixes of the paper.

    Args:
        name: Of the dataset.
        annotations: JSON file as published.
        images: Folder of pictures.
        limit: Only the first rows.
        stand_ins: Photographs in the place of pictures that are not there.

    Raises:
        UnknownDataset: There is no dataset of this name.
        BadAnnotations: The file cannot be read or holds a row that cannot be used.
    """
    dataset = dataset_named(name)
    rows = [
        apply_template(row, dataset.template)
        for row in read_annotations(annotations, dataset)[:limit]
    ]
    stood_in = None if stand_ins is None else stand_ins_of(rows, images, stand_ins)
    places = None if stood_in is None else stood_in.places
    hops, facts = hop_cases(rows, images, places)
    return Suite(
        name=dataset.name,
        pictured=file_cases(rows, images, places),
        texts=facts,
        text_views=FACT_VIEW_OF,
        hops=hops,
        stood_in=stood_in,
    )


def stated_suite(
    file: Path, images: Path | None, limit: int | None = None, side: HeldBack = "evaluation"
) -> Suite:
    """Corrections of one's own, what they lack derived; text-only ones are left out.

    Args:
        file: JSON lines, a JSON array, CSV or a dataset.
        images: Folder of the pictures; that of the file by default.
        limit: Only the first ones.
        side: Whose words and drawings are taken where something must be derived.

    Raises:
        BadAnnotations: They leave nothing to ask, or a picture does not open.
        BadImport: A line cannot be read.
    """
    rows = [row for row in corrections_of(file, images) if row.images][:limit]
    check_pictures(rows, file)
    return Suite(name=CORRECTIONS, pictured=stated_cases(rows, side).cases, texts=())


def suite_of(summary: Mapping[str, Any]) -> Suite:
    """The suite that a run was made on.

    Args:
        summary: What the run wrote.

    Raises:
        BadAnnotations: The file is not where it was, or is another.
    """
    limit = summary["corrections"]
    if summary["dataset"] == EMOJI_EDIT:
        return emoji_suite(summary["split"], limit)
    if summary["dataset"] == PHOTO_EDIT:
        folder = read_photo_folder(
            Path(summary["images"]),
            at_least=summary["photographs"],
            single=summary.get("single", False),
        )
        return photo_suite(folder, summary["split"], summary["look_alikes"], limit)
    if summary["dataset"] == CORRECTIONS:
        given = summary["images"]
        side = summary.get("side", "evaluation")
        return stated_suite(Path(summary["annotations"]), given and Path(given), limit, side)
    annotations, images = Path(summary["annotations"]), Path(summary["images"])
    given = summary.get("stand_ins")
    stand_ins = given and read_stand_ins(Path(given["folder"]), given["split"])
    return file_suite(summary["dataset"], annotations, images, limit, stand_ins=stand_ins)


def _owned(cases: Sequence[HopCase | FactCase], owners: Sequence[int]) -> list[int]:
    wanted = set(owners)
    return [number for number, case in enumerate(cases) if case.owner in wanted]
