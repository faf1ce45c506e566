"""Whether a dataset on disk is whole: fields, counts, pictures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from liveedit.data.annotations.datasets import Dataset
from liveedit.data.annotations.pictures import MISSING, picture_problem
from liveedit.data.annotations.reading import RejectedRow, inspect_rows, load_rows
from liveedit.data.annotations.record import Annotation
from liveedit.errors import BadAnnotations


@dataclass(frozen=True, kw_only=True)
class BadPicture:
    """A picture that cannot be used.

    Args:
        path: Below the folder of pictures.
        problem: What is wrong, a clause.
        rows: Rows that name it, counted from 0.
    """

    path: str
    problem: str
    rows: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class CheckReport:
    """What a check found.

    Args:
        dataset: Name of the dataset.
        rows: Rows in the file.
        published_rows: Rows of the published file of this name, None if none is so called.
        rejected: Rows that cannot be used.
        pictures: Different pictures that the usable rows name.
        missing: Those of them that are not there.
        unreadable: Those that are there and do not open.
    """

    dataset: str
    rows: int
    published_rows: int | None
    rejected: tuple[RejectedRow, ...]
    pictures: int
    missing: tuple[BadPicture, ...]
    unreadable: tuple[BadPicture, ...]

    @property
    def right_count(self) -> bool:
        """Whether there are as many rows as were published under the file's name, if any were."""
        return self.published_rows in (None, self.rows)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return self.right_count and not (self.rejected or self.missing or self.unreadable)


def check_dataset(dataset: Dataset, annotations: Path, images: Path) -> CheckReport:
    """Look at every row and every picture it names.

    Raises:
        BadAnnotations: The annotation file is no list of rows, or the folder of pictures is none.
    """
    if not images.is_dir():
        raise BadAnnotations(f"{images} is no folder; give the folder of pictures")
    rows = load_rows(annotations)
    reading = inspect_rows(rows, dataset)
    named = _rows_by_picture(reading.annotations)
    bad = [
        BadPicture(path=path, problem=problem, rows=tuple(named[path]))
        for path in tqdm(sorted(named), desc="pictures", unit="picture", leave=False)
        if (problem := picture_problem(images / path)) is not None
    ]
    return CheckReport(
        dataset=dataset.name,
        rows=len(rows),
        published_rows=dataset.published_rows.get(annotations.name),
        rejected=reading.rejected,
        pictures=len(named),
        missing=tuple(picture for picture in bad if picture.problem == MISSING),
        unreadable=tuple(picture for picture in bad if picture.problem != MISSING),
    )


def _rows_by_picture(annotations: Iterable[Annotation]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = defaultdict(list)
    for annotation in annotations:
        for picture in dict.fromkeys(map(str, annotation.pictures)):
            rows[picture].append(annotation.row)
    return rows
