"""``liveedit data``: check the public datasets and leaks between them; write emoji-edit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from liveedit.cli.common import JSON

if TYPE_CHECKING:
    from liveedit.data.annotations.audit import Audit
    from liveedit.data.annotations.check import CheckReport
    from liveedit.data.annotations.datasets import Dataset

app = typer.Typer(
    help="Check the public datasets, and what training and evaluation share; write emoji-edit.",
    no_args_is_help=True,
)
_SHOWN = 20  # lines of one kind; --json has them all
_LABELS = {
    "shared_pictures": "corrected picture, corrected in training, too",
    "shared_pictures_in_any_role": "any picture, in any role",
    "shared_pairs": "corrected picture and question",
    "shared_concepts": "concept of the corrected picture",
    "shared_locality_probes": "image locality probe (picture and question)",
    "shared_text_probes": "text locality probe",
}


@app.command()
def check(
    dataset: str = typer.Argument(help="e-vqa, e-ic or vlkeb."),
    annotations: Path = typer.Option(..., "--annotations", help="The JSON file."),
    images: Path = typer.Option(..., "--images", help="The folder that holds the pictures."),
    as_json: bool = JSON,
) -> None:
    """Look at every row of a file and every picture it names; exit status 1 if any is bad."""
    from liveedit.data.annotations.check import check_dataset
    from liveedit.data.annotations.datasets import EMOJI_EDIT, dataset_named

    if dataset.casefold() == EMOJI_EDIT:
        raise typer.BadParameter(
            f"{EMOJI_EDIT} is drawn from installed packages, so there are no files to check"
        )
    chosen = dataset_named(dataset)
    report = check_dataset(chosen, annotations, images)
    if as_json:
        print(json.dumps({**asdict(report), "clean": report.clean}))
    else:
        _show_check(report, chosen, annotations, images)
    if not report.clean:
        raise typer.Exit(1)


@app.command("audit")
def audit_(
    train: str = typer.Argument(help="Annotation file that was trained on, or emoji-edit."),
    evaluation: str = typer.Argument(
        metavar="EVAL", help="Annotation file that is evaluated on, or emoji-edit."
    ),
    dataset: str | None = typer.Option(
        None, help="What the files are: e-vqa, e-ic or vlkeb; recognised by default."
    ),
    write: Path | None = typer.Option(
        None, help="Write the evaluation rows that share nothing with training to this file."
    ),
    as_json: bool = JSON,
) -> None:
    """Count the evaluation rows whose pictures, questions or probes occur in training, too."""
    from liveedit.data.annotations.audit import audit
    from liveedit.data.annotations.leak_free import write_leak_free
    from liveedit.data.annotations.sources import open_source

    _refuse_to_overwrite(write, (train, evaluation))
    trained = open_source(train, "train", dataset)
    evaluated = open_source(evaluation, "evaluation", dataset)
    if write and evaluated.original is None:
        raise typer.BadParameter(
            f"{evaluation} has no file to take rows from", param_hint="--write"
        )
    found = audit(trained.annotations, evaluated.annotations)
    written = None
    if write and evaluated.original is not None:
        written = write_leak_free(evaluated.original, found, write)
    if as_json:
        summary = {
            "train": found.train,
            "eval": found.evaluation,
            **{str(leak): count for leak, count in found.counts.items()},
            "sharing_anything": found.leaking,
            "train_dataset": trained.dataset,
            "eval_dataset": evaluated.dataset,
            "written": written,
        }
        print(json.dumps(summary))
    else:
        _show_audit(found, trained.dataset, evaluated.dataset)
        if write:
            print(f"{written} rows that share nothing with training written to {write}")


class _Part(StrEnum):
    """Splits of emoji-edit."""

    train = "train"
    validation = "validation"
    evaluation = "evaluation"


@app.command("write")
def write_(
    out: Path = typer.Option(..., "--out", help="Folder for the files and pictures."),
    split: _Part = typer.Option(_Part.evaluation, help="Which corrections."),
    limit: int | None = typer.Option(None, min=1, help="Only the first so many."),
    as_json: bool = JSON,
) -> None:
    """Write emoji-edit as files: corrections to import, and probes for other editing toolkits.

    OUT/corrections.jsonl is for liveedit edit import, OUT/emoji-edit.json has the format of E-VQA.
    """
    from liveedit.data.annotations.written import ANNOTATIONS, CORRECTIONS, write_emoji_edit

    count = write_emoji_edit(split.value, out, limit)
    if as_json:
        files = {"corrections_file": CORRECTIONS, "annotations_file": ANNOTATIONS}
        print(json.dumps({"corrections": count, "folder": str(out), **files}))
    else:
        print(f"{count} corrections in {out / CORRECTIONS}, with probes in {out / ANNOTATIONS}")


def _refuse_to_overwrite(write: Path | None, sources: Sequence[str]) -> None:
    for source in sources:
        if write and write.exists() and Path(source).exists() and write.samefile(source):
            raise typer.BadParameter(f"{write} is what is audited", param_hint="--write")


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


def _show_audit(found: Audit, train: str, evaluation: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        title=f"trained on {found.train} rows of {train}, "
        f"evaluated on {found.evaluation} of {evaluation}"
    )
    table.add_column("in training, too")
    table.add_column("evaluation rows", justify="right")
    table.add_column("share", justify="right")
    rows = [(_LABELS[leak], count) for leak, count in found.counts.items()]
    for label, count in (*rows, ("anything of these", found.leaking)):
        if count is None:
            table.add_row(label, "not known", "")
        else:
            table.add_row(label, str(count), f"{100 * count / found.evaluation:.1f}%")
    Console().print(table)
