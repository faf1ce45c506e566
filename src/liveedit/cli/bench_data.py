"""What ``liveedit bench run`` is run on: datasets by name, with the options that each takes."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from liveedit.backbones.base import Backbone
    from liveedit.benchmark.suite import Suite
    from liveedit.data.emoji_edit.free_words import HeldBack
    from liveedit.data.photo_edit.folder import PhotoFolder

_WHOLE = "the whole file"  # in the place of a split
_EVALUATES = re.compile(r"(?<![a-z])(eval|evaluation|test)(?![a-z])")  # in the name of a file


class Dataset(StrEnum):
    """Datasets that can be run."""

    EMOJI_EDIT = "emoji-edit"
    E_VQA = "e-vqa"
    E_IC = "e-ic"
    VLKEB = "vlkeb"
    MMKE_BENCH = "mmke-bench"
    COMPREHENDEDIT = "comprehendedit"
    PHOTO_EDIT = "photo-edit"
    CORRECTIONS = "corrections"


class Split(StrEnum):
    """Which fixed set of corrections."""

    EVALUATION = "evaluation"
    VALIDATION = "validation"


DATASET = typer.Option(Dataset.EMOJI_EDIT, help="What to run on.")
ANNOTATIONS = typer.Option(
    None, help="JSON file of a public dataset; for corrections, a file or dataset of them."
)
IMAGES = typer.Option(None, help="Folder of its pictures; for photo-edit, of photographs by class.")
PHOTOGRAPHS = typer.Option(
    1, min=1, help="photo-edit: classes with fewer photographs are left out."
)
SINGLE = typer.Option(
    False, "--single", help="photo-edit: one photograph of each class, the others left out."
)
STAND_INS = typer.Option(
    None,
    help="public datasets: folder of photographs, by class or loose, that stand in for "
    "pictures which are not there; those of the split's classes do.",
)
LIMIT = typer.Option(
    None,
    min=1,
    help="Only the first corrections of the set; of a suite of emoji-edit, so many at random.",
)


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is asked for on the command line.

    Args:
        dataset: By name.
        split: Of drawings and photographs.
        annotations: File of a public dataset, or of corrections.
        images: Folder of pictures, or of photographs by class.
        photographs: Classes with fewer are left out.
        single: One photograph of each class alone.
        stand_ins: Photographs in the place of pictures that are not there.
        limit: Only the first corrections.
    """

    dataset: Dataset
    split: Split
    annotations: Path | None
    images: Path | None
    photographs: int
    single: bool
    stand_ins: Path | None
    limit: int | None

    def check(self) -> None:
        """See that each dataset has what it needs.

        Raises:
            BadParameter: It does not, or is given what it has no use for.
        """
        drawn, by_class = self.dataset is Dataset.EMOJI_EDIT, self.dataset is Dataset.PHOTO_EDIT
        own = self.dataset is Dataset.CORRECTIONS
        public = not (drawn or by_class or own)
        for name, value, wanted, must in (
            ("--annotations", self.annotations, not drawn and not by_class, True),
            ("--images", self.images, not drawn, not own and self.stand_ins is None),
            ("--stand-ins", self.stand_ins, public, False),
            ("--single", self.single or None, by_class, False),
        ):
            if wanted and must and value is None:
                raise typer.BadParameter(f"{self.dataset} needs it", param_hint=name)
            if not wanted and value is not None:
                raise typer.BadParameter(f"{self.dataset} has none to read", param_hint=name)

    def check_validation(self) -> None:
        """See that settings are not chosen on what methods are compared on.

        Raises:
            BadParameter: They would be.
        """
        if self.split is not Split.VALIDATION:
            raise typer.BadParameter(
                "settings are chosen on validation corrections, never on those that methods are "
                "compared on; leave it out",
                param_hint="--split",
            )
        if self.annotations is not None and _EVALUATES.search(self.annotations.stem.casefold()):
            raise typer.BadParameter(
                f"{self.annotations.name} is what methods are compared on; choose settings on "
                "other rows, such as the validation.json of `liveedit data divide`",
                param_hint="--annotations",
            )

    def suite(self, backbone: Backbone) -> tuple[Suite, dict[str, Any], PhotoFolder | None]:
        """What is run, what its summary says of it, and photographs by class if it has them.

        A report opens the suite again by what the summary says.
        """
        from liveedit.benchmark.suite import emoji_suite, photo_suite, stated_suite
        from liveedit.data.photo_edit.folder import read_photo_folder
        from liveedit.data.photo_edit.look_alikes import nearest_classes

        if self.annotations is not None:
            about: dict[str, Any] = {
                "split": _WHOLE,
                "annotations": str(self.annotations),
                "images": self.images and str(self.images),
            }
            if self.dataset is Dataset.CORRECTIONS:
                side: HeldBack = "evaluation"
                if self.split is Split.VALIDATION:
                    about["side"] = side = "validation"
                suite = stated_suite(self.annotations, self.images, self.limit, side)
                return suite, about, None
            return *self._public(self.annotations, about), None
        if self.images is None:
            about = {"split": self.split.value}
            return emoji_suite(self.split.value, self.limit), about, None
        folder = read_photo_folder(self.images, at_least=self.photographs, single=self.single)
        for bad in folder.bad:
            print(f"left out: {bad}", file=sys.stderr)
        near = nearest_classes(backbone, folder)
        about = {
            "split": self.split.value,
            "images": str(self.images),
            "photographs": self.photographs,
            "single": self.single,
            "look_alikes": near,
        }
        return photo_suite(folder, self.split.value, near, self.limit), about, folder

    def _public(self, annotations: Path, about: dict[str, Any]) -> tuple[Suite, dict[str, Any]]:
        from liveedit.benchmark.suite import file_suite
        from liveedit.data.stand_ins import read_stand_ins

        images = annotations.parent if self.images is None else self.images
        folder = self.stand_ins
        suite = file_suite(
            self.dataset.value, annotations, images, self.limit,
            stand_ins=None if folder is None else read_stand_ins(folder, self.split.value),
        )  # fmt: skip
        about |= {"images": str(images)}
        if suite.stood_in is not None:
            print(suite.stood_in, file=sys.stderr)
            about |= {
                "split": f"{_WHOLE}, photographs in the place of its pictures",
                "stand_ins": {
                    "folder": str(folder),
                    "split": self.split.value,
                    "pictures": suite.stood_in.pictures,
                    "photographs": suite.stood_in.photographs,
                    "quarters": suite.stood_in.quarters,
                },
            }
        return suite, about
