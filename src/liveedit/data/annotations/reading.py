"""From an annotation file to rows: all of them or an error, or all problems at once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from liveedit.data.annotations.datasets import Dataset
from liveedit.data.annotations.fields import Fields, json_word
from liveedit.data.annotations.record import Annotation
from liveedit.errors import BadAnnotations


@dataclass(frozen=True, kw_only=True)
class RejectedRow:
    """A row that cannot be used.

    Args:
        row: Position in the file, counted from 0.
        problems: What is wrong, a clause each.
    """

    row: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return f"row {self.row} (counted from 0): {'; '.join(self.problems)}"


@dataclass(frozen=True, kw_only=True)
class RowsRead:
    """What became of the rows of a file; every row is in one of the two."""

    annotations: tuple[Annotation, ...]
    rejected: tuple[RejectedRow, ...]


def load_rows(file: str | PathLike[str]) -> list[object]:
    """The list that an annotation file holds, as it is.

    Raises:
        BadAnnotations: The file cannot be read, is not JSON, or holds no list of at least one row.
    """
    try:
        rows = json.loads(Path(file).read_bytes())
    except OSError as error:
        raise BadAnnotations(f"{file} cannot be read ({error.strerror}); check the path") from error
    except ValueError as error:  # of JSON, of UTF-8, or of a number of thousands of digits
        raise BadAnnotations(
            f"{file} is not valid JSON ({error}); it may be cut off: get it anew"
        ) from error
    except RecursionError as error:
        raise BadAnnotations(f"{file} is nested too deeply to be annotations") from error
    if not isinstance(rows, list):
        raise BadAnnotations(f"{file} holds {json_word(rows)}, not a list of rows; get it anew")
    if not rows:
        raise BadAnnotations(f"{file} holds an empty list; get it anew")
    return rows


def inspect_rows(rows: Sequence[object], dataset: Dataset) -> RowsRead:
    """Sort rows into usable and rejected ones.

    A row may have an ``id``, text or number; the published files have none. No two may share one.
    """
    annotations: list[Annotation] = []
    rejected: list[RejectedRow] = []
    first_with: dict[object, int] = {}
    for number, row in enumerate(rows):
        if not isinstance(row, dict):
            problem = f"it is {json_word(row)}, not an object"
            rejected.append(RejectedRow(row=number, problems=(problem,)))
            continue
        fields = Fields(row)
        annotation = dataset.parse(number, fields)
        if "id" in row:
            _check_id(row["id"], number, fields, first_with)
        if fields.problems:
            rejected.append(RejectedRow(row=number, problems=tuple(fields.problems)))
        else:
            annotations.append(annotation)
    return RowsRead(annotations=tuple(annotations), rejected=tuple(rejected))


def read_annotations(file: str | PathLike[str], dataset: Dataset) -> list[Annotation]:
    """Every row of a file.

    Raises:
        BadAnnotations: See :func:`load_rows`; or a row cannot be used, and the first such is named.
    """
    return usable_rows(load_rows(file), dataset, file)


def usable_rows(
    rows: Sequence[object], dataset: Dataset, file: str | PathLike[str]
) -> list[Annotation]:
    """Every row of a list.

    Args:
        rows: What the file holds.
        dataset: Its format.
        file: Where it is, for the error.

    Raises:
        BadAnnotations: A row cannot be used; the first such is named.
    """
    reading = inspect_rows(rows, dataset)
    if reading.rejected:
        more = len(reading.rejected) - 1
        raise BadAnnotations(
            f"{file}, {reading.rejected[0]}"
            + (f" (and {more} more rows)" if more else "")
            + f"; see all with: liveedit data check {dataset.name}"
        )
    return list(reading.annotations)


def _check_id(value: object, row: int, fields: Fields, first_with: dict[object, int]) -> None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        fields.reject("id", f"is {json_word(value)}, not text or a number")
    elif value in first_with:
        fields.reject("id", f"({value!r}) is that of row {first_with[value]}, too")
    else:
        first_with[value] = row
