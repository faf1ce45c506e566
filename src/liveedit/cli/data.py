"""``liveedit data``: look at corrections of any source, and at leaks between them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from liveedit.cli.common import JSON
from liveedit.cli.data_check import check
from liveedit.cli.data_show import Part, show

if TYPE_CHECKING:
    from liveedit.data.annotations.audit import Audit

app = typer.Typer(
    help="Check and show corrections of any source, and what training and evaluation share.",
    no_args_is_help=True,
)
_LABELS = {
    "shared_pictures": "corrected picture, corrected in training, too",
    "shared_pictures_in_any_role": "any picture, in any role",
    "shared_pairs": "corrected picture and question",
    "shared_concepts": "concept of the corrected picture",
    "shared_locality_probes": "image locality probe (picture and question)",
    "shared_text_probes": "text locality probe",
}


app.command("check")(check)
app.command("show")(show)


@app.command("audit")
def audit_(
    train: str = typer.Argument(help="Annotation file that was trained on, or emoji-edit."),
    evaluation: str = typer.Argument(
        metavar="EVAL", help="Annotation file that is evaluated on, or emoji-edit."
    ),
    dataset: str | None = typer.Option(
        None, help="What the files are, such as e-vqa; recognised by default."
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


@app.command("write")
def write_(
    out: Path = typer.Option(..., "--out", help="Folder for the files and pictures."),
    split: Part = typer.Option(Part.evaluation, help="Which corrections."),
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


@app.command("divide")
def divide_(
    annotations: Path = typer.Argument(metavar="FILE", help="JSON file of a public dataset."),
    out: Path = typer.Option(..., "--out", help="Folder for train, validation and evaluation."),
    dataset: str | None = typer.Option(
        None, help="What the file is, such as e-vqa; recognised by default."
    ),
    as_json: bool = JSON,
) -> None:
    """Divide a published file into training, validation and evaluation, and audit the parts.

    A digest of each row's picture decides, so no corrected picture is in two parts.
    """
    from liveedit.data.annotations.division import audits, divide
    from liveedit.data.annotations.sources import open_source

    source = open_source(str(annotations), "train", dataset)
    if source.original is None:
        raise typer.BadParameter(f"{annotations} is no file; give one", param_hint="FILE")
    parts = divide(source.original, source.annotations, out)
    found = audits(parts)
    if as_json:
        told = [
            {"train": one, "eval": other, **{str(leak): n for leak, n in between.counts.items()}}
            for (one, other), between in found.items()
        ]
        rows = {part: len(some) for part, some in parts.items()}
        print(json.dumps({"folder": str(out), "rows": rows, "shared": told}))
        return
    for part, some in parts.items():
        print(f"{len(some)} rows in {out / part}.json")
    for (one, other), between in found.items():
        _show_audit(between, f"{source.dataset}, {one}", f"{source.dataset}, {other}")


def _refuse_to_overwrite(write: Path | None, sources: Sequence[str]) -> None:
    for source in sources:
        if write and write.exists() and Path(source).exists() and write.samefile(source):
            raise typer.BadParameter(f"{write} is what is audited", param_hint="--write")


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
