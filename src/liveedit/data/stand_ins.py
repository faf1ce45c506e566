"""Photographs that stand in for the pictures of a public benchmark, where these are not at hand.

Which photograph stands in for which picture is decided by digests of their names, so it is the same
on every machine. No two corrections ask the same about one photograph, what shows an entity that is
known has one of its own, unrelated pictures are never those of a correction, and training,
validation and evaluation have photographs of their own.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import cast

from liveedit.correction.images import open_image
from liveedit.data.annotations.pictures import picture_problem
from liveedit.data.annotations.record import Annotation
from liveedit.data.corrections_file import CorrectionRow
from liveedit.data.emoji_edit.concepts import Split
from liveedit.data.photo_edit.corrections import split_of
from liveedit.data.photo_edit.folder import SUFFIXES, read_photo_folder
from liveedit.errors import BadAnnotations
from liveedit.saving.cache_folder import cache_folder
from liveedit.saving.files import whole

_UNRELATED = 0.2  # share of the photographs that are only ever unrelated pictures
_QUARTERS = 4


@dataclass(frozen=True, kw_only=True)
class StandIns:
    """Photographs of one split.

    Args:
        root: Their folder.
        split: Whose they are.
        photographs: The files, in the order of their digests.
    """

    root: Path
    split: Split
    photographs: tuple[Path, ...]

    def assign(
        self,
        corrected: Mapping[Path, set[str]],
        unrelated: Mapping[Path, set[str]],
        entities: Set[Path] = frozenset(),
    ) -> StoodIn:
        """Give every picture that is not here a photograph.

        Args:
            corrected: Pictures of corrections, with the questions that are asked about them.
            unrelated: Pictures of locality probes.
            entities: Corrected pictures of an entity that is known: what they are asked in other
                words is asked of others, too, so they share no photograph as long as there are
                enough, or quarters of them.

        Raises:
            BadAnnotations: There are too few photographs.
        """
        apart = self.photographs[: math.ceil(_UNRELATED * len(self.photographs))]
        kept = self.photographs[len(apart) :]
        if not kept:
            raise BadAnnotations(
                f"{self.root} has {len(self.photographs)} photographs of the {self.split} split, "
                "too few to stand in for pictures; give a folder with more"
            )
        taken = _Taken(kept, quarters=True)
        places = {
            picture: taken.next(picture, asked, alone=picture in entities)
            for picture, asked in corrected.items()
        }
        beside = _Taken(apart, quarters=False)
        places |= {
            picture: beside.next(picture, set(), alone=False)
            for picture in unrelated
            if picture not in places
        }
        used = {file for file in places.values() if file in set(self.photographs)}
        quarters = len(set(places.values()) - used)
        return StoodIn(
            stand_ins=self, places=places, pictures=len(places), photographs=len(used),
            quarters=quarters,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StoodIn:
    """Which photograph stands in for which picture.

    Args:
        stand_ins: What they were taken of.
        places: The photograph for each picture that is not here.
        pictures: How many these are.
        photographs: How many whole photographs stand in.
        quarters: How many quarters of photographs do, where there are too few whole ones to ask
            the same question about.
    """

    stand_ins: StandIns
    places: Mapping[Path, Path] = field(repr=False)
    pictures: int
    photographs: int
    quarters: int

    def __str__(self) -> str:
        parts = f" and {self.quarters} quarters of photographs" if self.quarters else ""
        return (
            f"{self.pictures} pictures are not here: {self.photographs} photographs{parts} of "
            f"{self.stand_ins.root} ({self.stand_ins.split}) stand in for them, so that answers "
            "have nothing to do with what is seen; another picture of the same is the same one, "
            "cropped by 8% and saved as JPEG 40"
        )


def read_stand_ins(root: Path, split: Split) -> StandIns:
    """Photographs of a split: of a folder by class, or of pictures that lie in it loose.

    A loose picture is a class of its own.

    Raises:
        BadAnnotations: There are none.
    """
    loose = sorted(root.glob("*")) if root.is_dir() and not list(root.glob("*.jsonl")) else []
    loose = [file for file in loose if file.suffix.casefold() in SUFFIXES]
    if loose:
        files = [file for file in loose if split_of(file.name) == split]
        files = [file for file in files if picture_problem(file) is None]
    else:
        classes = read_photo_folder(root).classes
        files = [
            file for thing in classes if split_of(thing) == split for file in classes[thing]
        ]  # fmt: skip
    order = sorted(files, key=lambda file: _digest(file.relative_to(root).as_posix()))
    return StandIns(root=root, split=split, photographs=tuple(order))


def stand_in(
    rows: Sequence[CorrectionRow], stand_ins: StandIns
) -> tuple[list[CorrectionRow], StoodIn]:
    """Rows with photographs in the place of pictures that are not here.

    A row whose own picture, or whose other picture of the same, is not here, has no other picture.
    """
    corrected: dict[Path, set[str]] = {}
    unrelated: dict[Path, set[str]] = {}
    for row in rows:
        for path in row.images:
            corrected.setdefault(path, set()).add(row.prompt)
        if row.locality_image:
            unrelated.setdefault(row.locality_image, set()).add(row.locality_prompt)
    entities = {path for row in rows if row.concept for path in row.images}
    found = stand_ins.assign(_absent(corrected), _absent(unrelated), entities)
    places = found.places

    def changed(row: CorrectionRow) -> CorrectionRow:
        real = not any(path in places for path in row.images)
        others = tuple(path for path in row.other_images if real and path.is_file())
        return replace(
            row,
            images=tuple(places.get(path, path) for path in row.images),
            other_images=others,
            concept=row.concept if real else "",
            locality_image=row.locality_image
            and places.get(row.locality_image, row.locality_image),
        )

    return [changed(row) for row in rows], found


def stand_ins_of(rows: Sequence[Annotation], images: Path, stand_ins: StandIns) -> StoodIn:
    """What stands in for the pictures of a benchmark's rows that are not in a folder."""
    corrected: dict[Path, set[str]] = {}
    unrelated: dict[Path, set[str]] = {}
    for row in rows:
        probe = row.image_locality
        corrected.setdefault(images / cast(Path, row.image), set()).add(row.prompt)
        unrelated.setdefault(images / cast(Path, probe.image), set()).add(probe.question)
    entities = {images / cast(Path, row.image) for row in rows if row.concepts}
    return stand_ins.assign(_absent(corrected), _absent(unrelated), entities)


def _absent(pictures: Mapping[Path, set[str]]) -> dict[Path, set[str]]:
    return {path: asked for path, asked in pictures.items() if not path.is_file()}


class _Taken:
    """Hands out photographs: each once, then for other questions, then quarters of them."""

    def __init__(self, files: Sequence[Path], *, quarters: bool) -> None:
        self.files, self.quarters = files, quarters
        self.asked: dict[Path, set[str]] = {}

    @cached_property
    def parts(self) -> Mapping[Path, tuple[Path, int]]:
        """Where each quarter is kept, and what it is of."""
        return {_quarter(file, at): (file, at) for at in range(_QUARTERS) for file in self.files}

    def next(self, picture: Path, asked: set[str], *, alone: bool) -> Path:
        """For a picture about which this is asked; one of its own, if there is any left."""
        # without the folder of pictures, which has another name on every machine
        start = int(_share("/".join(picture.parts[-2:])) * len(self.files))
        files = [*self.files[start:], *self.files[:start]]
        kept = list(self.parts) if self.quarters else []
        quarters = [*kept[start:], *kept[:start]]
        found = (
            self._unused(files)
            or (self._unused(quarters) if alone else None)
            or self._other_questions(files, asked)
            or self._other_questions(quarters, asked)
        )
        if found is None:
            raise BadAnnotations(
                f"more corrections ask the same question than {len(self.files)} photographs and "
                "their quarters can stand in for; take fewer rows (--limit), or more photographs"
            )
        if self.quarters and found in self.parts:
            _keep_quarter(found, *self.parts[found])
        self.asked.setdefault(found, set()).update(asked)
        return found

    def _unused(self, files: Iterable[Path]) -> Path | None:
        return next((file for file in files if file not in self.asked), None)

    def _other_questions(self, files: Iterable[Path], asked: set[str]) -> Path | None:
        return next((file for file in files if not self.asked.get(file, set()) & asked), None)


def _quarter(file: Path, number: int) -> Path:
    """Where one of the four quarters of a photograph is kept, in the cache folder."""
    digest = _digest(f"{file.resolve()} {file.stat().st_mtime_ns}").hex()
    return cache_folder() / "stand-ins" / f"{digest}-{number}.png"


def _keep_quarter(place: Path, file: Path, number: int) -> None:
    if place.exists():
        return
    picture = open_image(file)
    width, height = max(1, picture.width // 2), max(1, picture.height // 2)
    x, y = number % 2 * (picture.width - width), number // 2 * (picture.height - height)
    place.parent.mkdir(parents=True, exist_ok=True)
    with whole(place) as part:
        picture.crop((x, y, x + width, y + height)).save(part, "PNG")


def _digest(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=8).digest()


def _share(name: str) -> float:
    return int.from_bytes(_digest(name), "big") / 2**64
