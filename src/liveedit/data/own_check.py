"""Whether corrections or photographs of one's own can be used, and what will be derived of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from liveedit.data.annotations.pictures import picture_problem
from liveedit.data.corrections_file import CorrectionRow, read_corrections
from liveedit.data.photo_edit.corrections import split_of
from liveedit.data.photo_edit.folder import read_photo_folder
from liveedit.data.stated_cases import stated_cases
from liveedit.errors import BadAnnotations


@dataclass(frozen=True, kw_only=True)
class OwnCheck:
    """What a check found.

    Args:
        kind: ``corrections`` or ``photographs``.
        counts: How many there are of what.
        derived: What will be derived, and for how many.
        bad: What cannot be used, one clause each.
        notes: What else is worth knowing.
    """

    kind: str
    counts: Mapping[str, int]
    derived: Mapping[str, int] = field(default_factory=dict)
    bad: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.bad


def check_corrections(file: Path, images: Path | None) -> OwnCheck:
    """Look at every line of a corrections file and every picture it names.

    Raises:
        BadImport: The file cannot be read at all.
    """
    rows, bad = read_corrections(file, images)
    named: dict[Path, int] = {}
    for row in rows:
        for path in row.pictures:
            named.setdefault(path, row.line)
    for path, line in tqdm(named.items(), desc="pictures", unit="picture", leave=False):
        problem = picture_problem(path)
        if problem is not None:
            bad.append(f"line {line}: {path} {problem}")
    counts = {"corrections": len(rows), "text-only": sum(not row.images for row in rows)}
    notes = [f"{count} lines say the same: {prompt!r}, {target!r}"
             for (_, prompt, target), count in _repeated(rows).items()]  # fmt: skip
    derived: Mapping[str, int] = {}
    try:
        derived = stated_cases(rows, "train").derived
    except BadAnnotations as error:
        notes.append(f"not enough to train an editor on: {error}")
    return OwnCheck(
        kind="corrections",
        counts={**counts, "pictures": len(named)},
        derived=derived,
        bad=tuple(bad),
        notes=tuple(notes),
    )


def check_photographs(root: Path) -> OwnCheck:
    """Look at every photograph of a folder by class.

    Raises:
        BadAnnotations: It is no such folder.
    """
    folder = read_photo_folder(root)
    splits = Counter(map(split_of, folder.classes))
    counts = {
        "photographs": sum(map(len, folder.classes.values())),
        "classes": len(folder.classes),
        **{f"{split} classes": splits[split] for split in ("train", "validation", "evaluation")},
    }
    notes = []
    if folder.single:
        shown = ", ".join(folder.single[:5]) + (", ..." if len(folder.single) > 5 else "")
        notes.append(
            f"{len(folder.single)} classes have one photograph ({shown}): another view of them is "
            "the same one, cropped and saved anew"
        )
    return OwnCheck(
        kind="photographs",
        counts=counts,
        bad=tuple(str(one) for one in folder.bad),
        notes=tuple(notes),
    )


def _repeated(rows: list[CorrectionRow]) -> dict[tuple[tuple[Path, ...], str, str], int]:
    said = Counter((row.images, row.prompt, row.target) for row in rows)
    return {key: count for key, count in said.items() if count > 1}
