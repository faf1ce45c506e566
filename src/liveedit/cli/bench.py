"""``liveedit bench``: measure lifelong editing."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from liveedit.cli.bench_general import general
from liveedit.cli.bench_report import compare, report
from liveedit.cli.bench_scope import show_scope
from liveedit.cli.common import DEVICE, DTYPE, EDITOR, JSON, METHOD, MODEL, Dtype, load

if TYPE_CHECKING:
    from liveedit.benchmark.suite import Suite
    from liveedit.editor import EditedModel

app = typer.Typer(help="Measure lifelong editing.", no_args_is_help=True)
app.command("general")(general)
app.command("report")(report)
app.command("compare")(compare)


_WHOLE = "the whole file"  # in the place of a split


class Dataset(StrEnum):
    """Datasets that can be run."""

    EMOJI_EDIT = "emoji-edit"
    E_VQA = "e-vqa"
    E_IC = "e-ic"
    VLKEB = "vlkeb"
    PHOTO_EDIT = "photo-edit"
    CORRECTIONS = "corrections"


class Split(StrEnum):
    """Which fixed set of corrections."""

    EVALUATION = "evaluation"
    VALIDATION = "validation"


@app.callback()
def _group() -> None:
    """Measure lifelong editing."""


@app.command()
def run(
    out: Path = typer.Option(..., "--out", help="Folder for summary.json and records-N.jsonl."),
    dataset: Dataset = typer.Option(Dataset.EMOJI_EDIT, help="What to run on."),
    annotations: Path | None = typer.Option(
        None, help="JSON file of a public dataset; for corrections, a file or dataset of them."
    ),
    images: Path | None = typer.Option(
        None, help="Folder of its pictures; for photo-edit, of photographs by class."
    ),
    photographs: int = typer.Option(
        1, min=1, help="photo-edit: classes with fewer photographs are left out."
    ),
    method: str = METHOD,
    edits: str = typer.Option(
        "100", help="Edits in force while a group is tested (N), or several: 1,10,100,1000."
    ),
    limit: int | None = typer.Option(None, min=1, help="Only the first corrections of the set."),
    split: Split = typer.Option(Split.EVALUATION, help="Validation is for choosing settings."),
    trials: list[str] = typer.Option(
        [],
        "--suite",
        help="Instead of groups: saved-anew, free-wordings, long-text, other-questions, "
        "look-alikes, contradictions, facts-of-a-picture, facts-of-a-subject, languages, or all.",
    ),
    generate: bool = typer.Option(
        True, help="Generate answers, too; without, teacher forcing alone."
    ),
    retention: bool = typer.Option(
        False, help="Also the first 100 edits with 0, 100, 500 and 900 more after them."
    ),
    refine: bool = typer.Option(True, help="Refine experts that fall short of their target."),
    supersede: bool = typer.Option(True, help="Let an edit supersede what it contradicts."),
    model: str = MODEL,
    device: str = DEVICE,
    dtype: Dtype = DTYPE,
    editor: Path | None = EDITOR,
    as_json: bool = JSON,
) -> None:
    """Run the lifelong protocol: groups of N edits, all probes after the last edit of a group.

    With --suite answers are generated for free wordings, look-alikes and the like.
    A run that was killed goes on when it is started again. On several processes: accelerate launch
    --num_processes P -m liveedit bench run ...
    """
    sizes = _sizes(edits)
    if trials:
        others = {
            "--dataset": dataset is not Dataset.EMOJI_EDIT, "--annotations": annotations,
            "--images": images, "--limit": limit, "--no-generate": not generate,
            "--retention": retention,
        }  # fmt: skip
        chosen = _suites(trials, [name for name, given in others.items() if given])
        edited = load(model, editor, method=method, device=device, dtype=dtype)
        _switch(edited, refine=refine, supersede=supersede)
        _run_suites(edited, out, split, chosen, as_json)
        return
    drawn = dataset is Dataset.EMOJI_EDIT
    own = dataset is Dataset.CORRECTIONS
    for name, value, wanted in (
        ("--annotations", annotations, not drawn and dataset is not Dataset.PHOTO_EDIT),
        ("--images", images, not drawn),
    ):
        if wanted and value is None and not (own and name == "--images"):
            raise typer.BadParameter(f"{dataset} needs it", param_hint=name)
        if not wanted and value is not None:
            raise typer.BadParameter(f"{dataset} has none to read", param_hint=name)
    from liveedit.benchmark.retention import LATER
    from liveedit.benchmark.run import run_benchmark
    from liveedit.distributed import processes

    edited = load(model, editor, method=method, device=device, dtype=dtype)
    _switch(edited, refine=refine, supersede=supersede)
    suite, about = _suite(edited, dataset, split, annotations, images, photographs, limit)
    summary = run_benchmark(
        edited,
        out,
        suite,
        edits=sizes,
        about=about,
        generate=generate,
        later=LATER if retention else (),
    )
    if not processes().is_main_process:
        return
    if as_json:
        print(json.dumps(summary))
    else:
        _show(summary, out)


def _suite(
    edited: EditedModel,
    dataset: Dataset,
    split: Split,
    annotations: Path | None,
    images: Path | None,
    photographs: int,
    limit: int | None,
) -> tuple[Suite, dict[str, Any]]:
    """What is run, and what its summary says of it, so that a report can open it again."""
    from liveedit.benchmark.suite import emoji_suite, file_suite, photo_suite, stated_suite
    from liveedit.data.photo_edit.folder import read_photo_folder
    from liveedit.data.photo_edit.look_alikes import nearest_classes

    if dataset is Dataset.CORRECTIONS and annotations is not None:
        about = {"annotations": str(annotations), "images": images and str(images)}
        return stated_suite(annotations, images, limit), {"split": _WHOLE, **about}
    if images is None:
        return emoji_suite(split.value, limit), {"split": split.value}
    if annotations is not None:
        about = {"split": _WHOLE, "annotations": str(annotations), "images": str(images)}
        return file_suite(dataset.value, annotations, images, limit), about
    folder = read_photo_folder(images, at_least=photographs)
    for bad in folder.bad:
        print(f"left out: {bad}", file=sys.stderr)
    near = nearest_classes(edited.backbone, folder)
    suite = photo_suite(folder, split.value, near, limit)
    told = {"split": split.value, "images": str(images), "photographs": photographs}
    return suite, {**told, "look_alikes": near}


def _switch(edited: EditedModel, *, refine: bool, supersede: bool) -> None:
    method = edited.method
    switches = ({} if supersede else {"supersede": "never"}) | (
        {} if refine else {"refine_steps": 0}
    )
    unknown = switches.keys() - type(method.config).model_fields.keys()
    if unknown:
        switch = unknown.pop().removesuffix("_steps")
        raise typer.BadParameter(f"{method.name} has no such switch", param_hint=f"--no-{switch}")
    method.config = method.config.model_copy(update=switches)


def _suites(names: list[str], others: list[str]) -> tuple[str, ...]:
    """Names of suites, if nothing is asked of them that they do not heed."""
    from liveedit.benchmark.scope.suites import TRIALS

    if others:
        raise typer.BadParameter("a suite is run whole, on its own data", param_hint=others[0])
    for name in names:
        if name not in (*TRIALS, "all"):
            known = ", ".join((*TRIALS, "all"))
            raise typer.BadParameter(f"there is no {name}; there are {known}", param_hint="--suite")
    return tuple(TRIALS) if "all" in names else tuple(dict.fromkeys(names))


def _run_suites(
    edited: EditedModel, out: Path, split: Split, chosen: tuple[str, ...], as_json: bool
) -> None:
    from liveedit.benchmark.scope.suites import run_scope

    found = run_scope(edited, out, split.value, chosen)
    if as_json:
        print(json.dumps(found))
    else:
        show_scope({name: found[name] for name in chosen})


def _sizes(edits: str) -> list[int]:
    try:
        sizes = [int(part) for part in edits.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise typer.BadParameter(
            f"{edits!r} is no list of positive numbers such as 1,10,100", param_hint="--edits"
        )
    return sizes


def _show(summary: dict[str, Any], out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    what = f"{summary['dataset']}, {summary['method']}, {summary['corrections']} corrections"
    tables = {f"groups of {size}": run["metrics"] for size, run in summary["runs"].items()}
    for more, metrics in summary.get("retention", {}).items():
        tables[f"the first 100 edits, {more} more after them"] = metrics
    for title, metrics in tables.items():
        table = Table(title=f"{what}, {title}")
        for column in ("metric", "accuracy", "95% interval", "exact match", "before", "probes"):
            table.add_column(column, justify="left" if column == "metric" else "right")
        for name, row in metrics.items():
            low, high = row["interval"]
            table.add_row(
                name,
                f"{row['accuracy']:.1f}",
                f"{low:.1f} - {high:.1f}",
                *(
                    "" if row[key] is None else f"{row[key]:.1f}"
                    for key in ("exact_match", "before")
                ),
                str(row["n"]),
            )
        console.print(table)
    seconds = summary["seconds_before"] + summary.get("seconds_retention", 0)
    seconds += sum(run["seconds"] for run in summary["runs"].values())
    console.print(f"{seconds:.0f} s; records and summary in {out}")
