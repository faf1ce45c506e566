"""``liveedit data show``: corrections as a page of pictures and questions."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer


class Part(StrEnum):
    """Splits."""

    train = "train"
    validation = "validation"
    evaluation = "evaluation"


def show(
    source: str = typer.Argument(
        help="emoji-edit, a file of corrections (or of a public dataset), a dataset, or a "
        "folder of photographs by class."
    ),
    out: Path = typer.Option(Path("corrections.html"), "--out", help="The page."),
    images: Path | None = typer.Option(None, "--images", help="Folder of the pictures of a file."),
    split: Part = typer.Option(
        Part.train, help="Which corrections of emoji-edit or of a folder; a file is shown whole."
    ),
    limit: int = typer.Option(24, min=1, help="Only the first so many."),
) -> None:
    """Write a page: each correction from every side that it is learned or tested by."""
    from liveedit.data.showing import render_cases
    from liveedit.data.sources import cases_to_show
    from liveedit.saving.files import write_whole

    cases, notes = cases_to_show(source, images, split.value, limit)
    title = f"{source}: the first {len(cases)} corrections"
    write_whole(out, render_cases(title, cases, notes))
    print(f"{len(cases)} corrections in {out}")
