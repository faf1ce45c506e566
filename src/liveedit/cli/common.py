"""Options that several verbs share, and quiet libraries."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from liveedit.editor import EditedModel
    from liveedit.store.records import Entry

MODEL = typer.Option(
    "pocket", "--model", help="'pocket', the folder of a model, or its id on the hub."
)
EDITOR = typer.Option(
    None, "--editor", help="Folder that `liveedit train` wrote; the shipped one for 'pocket'."
)
METHOD = typer.Option("liveedit", "--method", help="Editing method: see `liveedit methods`.")
DEVICE = typer.Option(
    "cpu", help="cpu, cuda, cuda:1, mps and the like; auto spreads the model over all there are."
)


class Dtype(StrEnum):
    """What a model can compute in."""

    auto = "auto"
    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


DTYPE = typer.Option(
    Dtype.auto, help="What the model computes in; auto: what the device is fast at."
)
STORE = typer.Option(
    ..., "--store", envvar="LIVEEDIT_STORE", help="SQLite file, or postgresql://user@host/name."
)
AS_OF = typer.Option(None, "--as-of", min=0, help="A revision; the newest by default.")
JSON = typer.Option(False, "--json", help="Print JSON for programs.")


def quieten() -> None:
    """Keep libraries' own notices off the terminal; their errors stay."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def placed(device: str, dtype: Dtype) -> dict[str, Any]:
    """Device and dtype as :func:`liveedit.backbones.registry.load_backbone` takes them.

    Raises:
        BadParameter: There is no such device here.
    """
    import torch

    told: dict[str, Any] = {} if dtype is Dtype.auto else {"dtype": getattr(torch, dtype)}
    if device == "auto":
        return told | {"device_map": "auto"}
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        problem = str(error).splitlines()[0]
        raise typer.BadParameter(
            f"{device} cannot be used here ({problem}); give cpu, or a device that torch finds",
            param_hint="--device",
        ) from error
    return told | {"device": device}


def load(
    model: str,
    editor: Path | None,
    store: str | None = None,
    *,
    method: str = "liveedit",
    device: str = "cpu",
    dtype: Dtype = Dtype.auto,
) -> EditedModel:
    """The model that a verb works on."""
    quieten()
    from liveedit.editor import EditedModel

    return EditedModel.from_pretrained(
        model, method=method, editor=editor, store=store, **placed(device, dtype)
    )


def show_edits(entries: Sequence[Entry]) -> None:
    """Edits as a table."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for column in ("id", "revision", "question", "answer", "picture", "author", "made", "state"):
        table.add_column(column)
    for entry in entries:
        edit = entry.edit
        table.add_row(
            edit.id,
            str(entry.revision),
            *(Text(text) for text in (edit.prompt, edit.target)),
            (edit.image or "none")[:8],
            Text(edit.author),
            f"{edit.created:%Y-%m-%d %H:%M}",
            Text(entry.state + (f" ({edit.namespace})" if edit.namespace else "")),
        )
    Console().print(table)
