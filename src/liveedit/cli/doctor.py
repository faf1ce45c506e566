"""``liveedit doctor``: what the editor makes of a model, before anything is trained."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from liveedit.cli.common import EDITOR, JSON, METHOD, quieten

if TYPE_CHECKING:
    from liveedit.editor.inspection import Inspection


def doctor(
    model: str = typer.Argument(
        "pocket",
        help="'pocket', the folder of a transformers model or of an adapter of PEFT, or its id on "
        "the hub.",
    ),
    edits: int = typer.Option(1000, min=1, help="Edits to tell the memory of."),
    image: Path | None = typer.Option(None, help="Picture of the sample prompt; a drawing."),
    out: Path | None = typer.Option(None, help="PNG file for the picture and its tokens."),
    edit_layer: int | None = typer.Option(
        None, min=0, help="Decoder layer to edit; the family's own choice."
    ),
    method: str = METHOD,
    editor: Path | None = EDITOR,
    as_json: bool = JSON,
) -> None:
    """Tell a model's family, weights, edit layer, token spans and memory, and what is missing.

    No weights are read. The exit status is 1 if something keeps the model from being edited.
    """
    quieten()
    from liveedit.backbones.inspection import drawing, drawn
    from liveedit.correction import open_image
    from liveedit.editor.inspection import inspect_model

    picture = drawing() if image is None else open_image(image)
    found = inspect_model(model, image=picture, method=method, editor=editor, edit_layer=edit_layer)
    if out is not None:
        drawn(picture, found.runs).save(out, format="PNG")
    if as_json:
        size = found.bytes_per_edit
        print(
            json.dumps(asdict(found) | {"bytes_of_edits": None if size is None else edits * size})
        )
    else:
        _show(found, edits, out)
    if found.problems:
        raise typer.Exit(1)


def _show(found: Inspection, edits: int, out: Path | None) -> None:
    from rich.console import Console
    from rich.text import Text

    from liveedit.backbones.inspection import COLOURS
    from liveedit.editor.inspection import LONG

    console = Console()
    billions = found.parameters / 1e9
    size, long = found.bytes_per_edit, found.bytes_per_long_edit
    console.print(f"family      {found.family}, {billions:.2f} billion parameters")
    console.print(f"weights     {found.weights}", markup=False)
    if found.adapter is not None:
        console.print(f"adapter     {found.adapter}", markup=False)
    console.print(f"edit layer  {found.edit_layer} of 0 to {found.layers - 1}, width {found.width}")
    if size is not None and long is not None:
        console.print(
            f"memory      {size / 1e3:.0f} KB an edit of one word, {edits * size / 1e6:.1f} MB for "
            f"{edits}; {long / 1e3:.0f} KB with {LONG} tokens"
        )
    sample = Text("prompt      ")
    for run in found.runs:
        words = f"{run.text} × {run.tokens}" if run.kind == "vision" else run.text
        sample.append(words, style=f"white on {COLOURS[run.kind]}")
    console.print(sample)
    legend = Text("            ")
    for kind, colour in COLOURS.items():
        legend.append(f" {kind} ", style=f"white on {colour}").append(" ")
    console.print(legend)
    for one in found.problems:
        console.print(f"problem     {one}", markup=False)
    for one in found.missing:
        console.print(f"missing     {one}", markup=False)
    if out is not None:
        console.print(f"drawn in    {out}", markup=False)
