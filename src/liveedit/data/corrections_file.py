"""Corrections of a file: JSONL or CSV beside a folder of pictures, or a dataset saved to disk."""

from __future__ import annotations

import codecs
import csv
import io
import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from liveedit.correction import checked_text
from liveedit.data.dataset_folder import dataset_rows, is_dataset
from liveedit.errors import BadImport, LiveEditError

logger = logging.getLogger(__name__)

_LISTS = ("images", "rephrasings", "other_images")
_PROBES = ("concept", "text_locality", "locality_image", "locality_prompt")
_FIELDS = (
    "image", "prompt", "target", *_LISTS, "author", "reason", "namespace", *_PROBES, "id",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CorrectionRow:
    """One line of a file.

    Args:
        line: Its number, from 1.
        images: The picture, or several; none for a text-only correction.
        prompt: The question.
        target: The right answer.
        rephrasings: The question in other words.
        author: Who says so.
        reason: Why.
        namespace: The set of edits it will belong to.
        other_images: Other pictures of the same, for training and measuring (M-Gen).
        concept: What the picture shows: corrections of one concept are kept on one side when a file
            is divided.
        text_locality: A question without a picture whose answer must stay as it is (T-Loc).
        locality_image, locality_prompt: An unrelated picture and question (M-Loc).
        id: What its owner calls it; no two of a file share one.
    """

    line: int
    images: tuple[Path, ...]
    prompt: str
    target: str
    rephrasings: tuple[str, ...] = ()
    author: str = ""
    reason: str = ""
    namespace: str = ""
    other_images: tuple[Path, ...] = ()
    concept: str = ""
    text_locality: str = ""
    locality_image: Path | None = None
    locality_prompt: str = ""
    id: str = ""

    @property
    def pictures(self) -> tuple[Path, ...]:
        """All that it names."""
        unrelated = (self.locality_image,) if self.locality_image else ()
        return (*self.images, *self.other_images, *unrelated)


def read_corrections(
    file: Path,
    images: Path | None = None,
    *,
    namespace: str = "",
    author: str = "",
    reason: str = "",
) -> tuple[list[CorrectionRow], list[str]]:
    """Corrections of a file, and what is wrong with the other lines.

    Args:
        file: CSV with a header (commas, semicolons or tabs), JSON lines or a JSON array, in UTF-8,
            UTF-16 or Windows-1252; the fields are image (a path, or empty), or images (several),
            prompt, target, and where wanted rephrasings, author, reason and namespace, and for
            training and measuring other_images, concept, text_locality, locality_image,
            locality_prompt and id. In CSV several of one field stand with | between them. Or a
            dataset with such columns, see :func:`liveedit.data.dataset_folder.is_dataset`.
        images: The folder that paths of pictures start from; that of the file by default.
        namespace: Where a line names none.
        author: Where a line names none.
        reason: Where a line names none.

    Raises:
        BadImport: The file cannot be read.
    """
    table = is_dataset(file)
    folder = images or (file if file.is_dir() else file.parent)
    good, bad = [], []
    default = {"author": author, "reason": reason, "namespace": namespace}
    what = "row" if table else "line"
    first_with: dict[str, int] = {}
    try:
        for line, fields in dataset_rows(file, _FIELDS) if table else _lines(file):
            try:
                row = _stated(line, fields, folder, default)
                if row.id and first_with.setdefault(row.id, line) != line:
                    raise ValueError(f"its id {row.id!r} is that of {what} {first_with[row.id]}")
                good.append(row)
            except (LiveEditError, ValueError) as error:
                bad.append(f"{what} {line}: {error}")
    except (OSError, UnicodeError, csv.Error) as error:
        raise BadImport(f"{file} cannot be read ({error}); give a CSV or JSON file") from error
    return good, bad


def _lines(file: Path) -> Iterator[tuple[int, object]]:
    """Numbers and fields of the lines, by what the file holds rather than by its name."""
    text = _decoded(file)
    start = text.lstrip()[:1]
    if start == "[":
        yield from enumerate(_json_array(text), 1)
    elif start == "{" or file.suffix.casefold() in (".jsonl", ".ndjson"):
        for line, one in enumerate(text.splitlines(), 1):
            if one.strip():
                try:
                    yield line, json.loads(one)
                except ValueError as error:
                    yield line, error
    elif text.strip():
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=_delimiter(text))
        for row in rows:
            if None in row:
                yield rows.line_num, ValueError("more fields than the first line names")
                continue
            names = {key.strip().casefold(): value for key, value in row.items()}
            yield rows.line_num, {k: v for k, v in names.items() if v not in (None, "")}


def _decoded(file: Path) -> str:
    """UTF-8 or UTF-16 by its mark, UTF-8 without one, else what spreadsheets on Windows write."""
    data = file.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        logger.warning("%s is not in UTF-8 and was read as Windows-1252; look at the umlauts", file)
        return data.decode("cp1252")


def _json_array(text: str) -> list[object]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadImport(f"the file begins as a JSON array and is none ({error})") from error
    return list(found)


def _delimiter(text: str) -> str:
    """What stands between the names of the first line: a comma, a semicolon or a tab."""
    header = text.lstrip().partition("\n")[0]
    return max(",;\t", key=header.count)


def _stated(line: int, fields: object, folder: Path, default: dict[str, str]) -> CorrectionRow:
    if isinstance(fields, ValueError):
        raise ValueError(f"cannot be read: {fields}")
    if not isinstance(fields, dict) or not {"prompt", "target"} <= fields.keys():
        has = f"; this line has {', '.join(map(str, fields))}" if isinstance(fields, dict) else ""
        raise ValueError(f"has no prompt or no target; its fields are {', '.join(_FIELDS)}{has}")
    unknown = sorted(str(name) for name in fields.keys() - set(_FIELDS))
    if unknown:
        raise ValueError(f"has unknown fields {', '.join(unknown)}; known: {', '.join(_FIELDS)}")
    told = default | {name: value for name, value in fields.items() if value is not None}
    if isinstance(told.get("id"), int):
        told["id"] = str(told["id"])
    lists = {name: _listed(name, told.pop(name, ())) for name in _LISTS}
    for name, value in told.items():
        if not isinstance(value, str):
            raise ValueError(f"{name} is no text")
    image = told.pop("image", "")
    if image and lists["images"]:
        raise ValueError("has image and images; give one of the two")
    paths = _pictures(folder, (image,) if image else lists["images"])
    unrelated = _pictures(folder, (told.pop("locality_image", ""),))
    told["prompt"] = checked_text(told["prompt"], "prompt")
    told["target"] = checked_text(told["target"], "target")
    others = tuple(checked_text(one, "rephrasing") for one in lists["rephrasings"])
    return CorrectionRow(
        line=line,
        images=paths,
        rephrasings=others,
        other_images=_pictures(folder, lists["other_images"]),
        locality_image=unrelated[0] if unrelated else None,
        **told,
    )


def _pictures(folder: Path, names: Sequence[str]) -> tuple[Path, ...]:
    paths = tuple(folder / name for name in names if name)
    for path in paths:
        if not path.is_file():
            raise ValueError(f"there is no picture {path}")
    return paths


def _listed(name: str, value: object) -> list[str]:
    if isinstance(value, str):
        value = [one.strip() for one in value.split("|")]
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{name} is no list of texts")
    return [one for one in value if one]
