"""``liveedit calibrate``: an editor in minutes, for a model that nobody trained one for."""

from __future__ import annotations

import json
import resource
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from liveedit.cli.common import DEVICE, DTYPE, JSON, MODEL, WORDS, Dtype, placed, quieten

if TYPE_CHECKING:
    from liveedit.training.calibration import Calibration

_VIEWS = {
    "edit": ("the correction", "all"),
    "rephrase": ("its question in other words", "all"),
    "free words": ("its question as people type", "all"),
    "redrawn": ("another picture of the same", "all"),
    "other image": ("its question about another picture", "none"),
    "other question": ("another question about its picture", "none"),
    "elsewhere": ("another question about another picture", "none"),
}


def calibrate(
    out: Path = typer.Option(..., "--out", help="Folder for the editor: it is in OUT/editor."),
    model: str = MODEL,
    data: Path | None = typer.Option(
        None, help="Corrections of your own about some tens of pictures (JSONL, CSV); drawings."
    ),
    images: Path | None = typer.Option(
        None, help="Folder of the pictures that the file names.", show_default="that of the file"
    ),
    corrections: int = typer.Option(80, min=8, help="At most so many to find directions on."),
    validation: int = typer.Option(80, min=8, help="At most so many to choose margins on."),
    edit_layer: list[int] = typer.Option(
        [], min=0, help="Decoder layer to edit; the family's own choice. Of several the best."
    ),
    device: str = DEVICE,
    dtype: Dtype = DTYPE,
    seed: int = typer.Option(0, help="Seed of what is drawn at random."),
    sentence_encoder: bool = WORDS,
    as_json: bool = JSON,
) -> None:
    """Make an editor from what the model makes of some tens of pictures; nothing is trained.

    Use it with --editor OUT/editor, or EditedModel.from_pretrained(editor=...). It takes
    corrections about pictures; a trained one (liveedit train) takes those without, too, and misses
    less.
    """
    quieten()
    from liveedit.backbones.at_layer import at_layer
    from liveedit.backbones.registry import load_backbone
    from liveedit.methods.liveedit.checkpoint import save_editor
    from liveedit.methods.shared.sentence_encoder import require_sentence_encoder
    from liveedit.saving.files import write_whole
    from liveedit.training.calibrated_editor import CalibrationSettings, best_of_layers
    from liveedit.training.calibration_data import calibration_data

    if sentence_encoder:
        require_sentence_encoder()
    began = time.perf_counter()
    settings = CalibrationSettings(corrections=corrections, validation=validation, seed=seed)
    if images is not None and data is None:
        raise typer.BadParameter("goes with --data", param_hint="--images")
    some = calibration_data(data, images, corrections=corrections, validation=validation)
    backbone = load_backbone(model, **placed(device, dtype))
    try:
        layers = [at_layer(backbone, layer) for layer in dict.fromkeys(edit_layer)]
    except ValueError as error:  # of a layer that is not there, or cannot be edited
        raise typer.BadParameter(str(error), param_hint="--edit-layer") from error
    found = best_of_layers(layers or [backbone], some, settings)
    told = {
        "model": model,
        "data": "drawings" if data is None else data.name,
        "corrections": len(some.cases),
        "validation": len(some.held),
        "edit_layer": found.backbone.edit_layer,
        "minutes": round((time.perf_counter() - began) / 60, 2),
        "peak_memory": _peak_memory(),
        "settings": settings.model_dump(),
        **asdict(found.margins),
    }
    folder = out / "editor"
    network = found.network
    network.config = network.config.model_copy(update={"sentence_encoder": sentence_encoder})
    save_editor(network, found.backbone.fingerprint(), folder)
    write_whole(out / "calibration.json", json.dumps(told, indent=2) + "\n")
    if as_json:
        print(json.dumps(told | {"editor": str(folder)}))
        return
    print(
        f"layer {found.backbone.edit_layer}, {len(some.cases)} + {len(some.held)} corrections, "
        f"{told['minutes']:.1f} minutes"
    )
    _show(found.margins)
    print(f"editor in {folder}")


def _show(margins: Calibration) -> None:
    from rich.table import Table

    from liveedit.cli.common import console

    table = Table(title="An edit fires for, in % of those the margins were chosen on")
    for column in ("question", *(f"{size} in force" for size in margins.fired), "wanted"):
        table.add_column(column, justify="left" if column in ("question", "wanted") else "right")
    for view, (text, wanted) in _VIEWS.items():
        shares = (f"{100 * fired[view]:.0f}" for fired in margins.fired.values())
        table.add_row(text, *shares, wanted)
    console().print(table)


def _peak_memory() -> int:
    """Bytes of this process, at their most."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
