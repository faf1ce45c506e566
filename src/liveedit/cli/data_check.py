"""``liveedit data check``: is everything there, and can it be used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from liveedit.cli.common import JSON

if TYPE_CHECKING:
    from liveedit.data.annotations.check import CheckReport
    from liveedit.data.annotations.datasets import Dataset
    from liveedit.data.own_check import OwnCheck

_SHOWN = 20  # lines of one kind; --json has them all


def check(
    dataset: str = typer.Argument(
        metavar="SOURCE",
        help="e-vqa, e-ic, vlkeb, mmke-bench or comprehendedit; or a file or dataset of "
        "corrections; or a folder of photographs by class.",
    ),
    annotations: Path | None = typer.Option(
        None, "--annotations", help="The JSON file of a public dataset."
    ),
    images: Path | None = typer.Option(
        None, "--images", help="The folder that holds the pictures."
    ),
    as_json: bool = JSON,
) -> None:
    """Look at every row of a file and every picture it names; exit status 1 if any is bad."""
    from liveedit.data.annotations.check import check_dataset
    from liveedit.data.annotations.datasets import EMOJI_EDIT, dataset_named

    if dataset.casefold() == EMOJI_EDIT:
        raise typer.BadParameter(
            f"{EMOJI_EDIT} is drawn from installed packages, so there are no files to check"
        )
    path = Path(dataset)
    if path.exists():
        _check_own(path, annotations, images, as_json)
        return
    chosen = dataset_named(dataset)
    if annotations is None or images is None:
        name = "--annotations" if annotations is None else "--images"
        raise typer.BadParameter(f"{chosen.name} needs it", param_hint=name)
    report = check_dataset(chosen, annotations, images)
    if as_json:
        print(json.dumps({**asdict(report), "clean": report.clean}))
    else:
        _show_check(report, chosen, annotations, images)
    if not report.clean:
        raise typer.Exit(1)


def _check_own(path: Path, annotations: Path | None, images: Path | None, as_json: bool) -> None:
    from liveedit.data.dataset_folder import is_dataset
    from liveedit.data.own_check import check_corrections, check_photographs

    if annotations is not None:
        raise typer.BadParameter("is for public datasets by name", param_hint="--annotations")
    photographs = path.is_dir() and not is_dataset(path)
    if photographs and images is not None:
        raise typer.BadParameter(f"{path} is the folder of pictures itself", param_hint="--images")
    found = check_photographs(path) if photographs else check_corrections(path, images)
    if as_json:
        print(json.dumps({**asdict(found), "clean": found.clean}))
    else:
        _show_own(found, path)
    if not found.clean:
        raise typer.Exit(1)


def _show_own(found: OwnCheck, path: Path) -> None:
    print(f"{found.kind}: {path}")
    print(", ".join(f"{count} {what}" for what, count in found.counts.items()))
    for what, count in found.derived.items():
        print(f"derived in training, for {count}: {what}")
    _show_some(found.notes)
    if found.bad:
        print(f"{len(found.bad)} cannot be used:")
    _show_some(found.bad)
    if found.clean:
        print("clean")


def _show_check(report: CheckReport, dataset: Dataset, annotations: Path, images: Path) -> None:
    print(f"{dataset.name}: {annotations}")
    published = "" if report.published_rows is None else f" of {report.published_rows} published"
    print(f"rows: {report.rows}{published}, {len(report.rejected)} of them not usable")
    _show_some([str(row) for row in report.rejected])
    print(
        f"pictures: {report.pictures} in {images}, "
        f"{len(report.missing)} missing, {len(report.unreadable)} not to be opened"
    )
    for pictures in (report.missing, report.unreadable):
        _show_some([f"{bad.path} {bad.problem} (row {bad.rows[0]})" for bad in pictures])
    if report.clean:
        print("clean")
        return
    if not report.right_count:
        print(f"{annotations.name} was published with {report.published_rows} rows: get it anew")
    print(f"expected below {images}:")
    for path, what in dataset.layout:
        print(f"  {path}  ({what})")
    print("published at:")
    for what, address in dataset.sources:
        print(f"  {what}: {address}")


def _show_some(lines: Sequence[str]) -> None:
    for line in lines[:_SHOWN]:
        print(f"  {line}")
    if len(lines) > _SHOWN:
        print(f"  and {len(lines) - _SHOWN} more; --json lists all")
