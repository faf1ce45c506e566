"""Options that several verbs share, and quiet libraries."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from liveedit.config import Config
    from liveedit.editor import EditedModel
    from liveedit.store.picture_rules import Keep
    from liveedit.store.records import Entry

MODEL = typer.Option(
    "pocket", "--model", help="'pocket', the folder of a model, or its id on the hub."
)
EDITOR = typer.Option(
    None, "--editor", help="Folder that `liveedit train` wrote; the shipped one for 'pocket'."
)
METHOD = typer.Option("liveedit", "--method", help="Editing method: see `liveedit methods`.")
OF_STORE = typer.Option(
    None,
    "--method",
    help="Editing method: see `liveedit methods`; by default the store's, of a new one liveedit.",
)
SETTINGS = typer.Option(
    None, "--settings", help="The method's settings: what `liveedit bench tune` wrote, chosen.json."
)
WORDS = typer.Option(
    False,
    "--sentence-encoder",
    help="The editor has a sentence encoder compare questions, too (extra retrieval): better in "
    "free wordings, a little slower.",
)
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
    """Keep transformers' own notices off the terminal; its errors stay."""
    from transformers.utils import logging as notices

    notices.set_verbosity_error()
    notices.disable_progress_bar()


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
    method: str | None = None,
    settings: Path | None = None,
    config: Config | None = None,
    device: str = "cpu",
    dtype: Dtype = Dtype.auto,
    pictures: Keep | None = None,
) -> EditedModel:
    """The model that a verb works on.

    Its method is by default that of the store, of the settings, or of what was saved. Settings of
    a file go before ``config``. What its store has to warn of goes to the terminal; what it keeps
    of pictures may be changed.
    """
    quieten()
    from liveedit.editor import EditedModel
    from liveedit.editor.pretrained import stored_identity
    from liveedit.methods.chosen_settings import method_in, read_chosen
    from liveedit.methods.registry import method_class
    from liveedit.store.sql import SqlStore

    if settings is not None:
        stored = None if store is None else stored_identity(store)
        method = method or (stored.method if stored else method_in(settings))
        config = read_chosen(settings, method_class(method))
    edited = EditedModel.from_pretrained(
        model, method=method, editor=editor, store=store, config=config, **placed(device, dtype)
    )
    if isinstance(edited.store, SqlStore):
        log = edited.store.log
        if log.warning:
            print(f"liveedit: {log.warning}", file=sys.stderr)
        if pictures is not None and pictures != log.picture_rules.keep:
            log.set_picture_rules(replace(log.picture_rules, keep=pictures))
    return edited


def console() -> Console:
    """Where tables go: lines of ASCII where the terminal knows nothing else."""
    from rich.console import Console

    return Console(safe_box=True, emoji=False, markup=True, highlight=False)


def show_edits(entries: Sequence[Entry]) -> None:
    """Edits as a table; ids are always whole, and long texts go on in the next line."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    out = console()
    table = Table(box=box.ASCII if "utf" not in out.encoding.casefold() else box.HEAVY_HEAD)
    table.add_column(
        "id", no_wrap=True, min_width=max((len(e.edit.id) for e in entries), default=2)
    )
    narrow = out.width < 120
    for column in ("question", "answer", "state"):
        table.add_column(column, overflow="fold")
    if not narrow:
        for column in ("revision", "picture", "author", "made"):
            table.add_column(column, overflow="fold")
    for entry in entries:
        edit = entry.edit
        more = (str(entry.revision), (edit.image or "none")[:8], f"{edit.created:%Y-%m-%d %H:%M}")
        state = entry.state + (f" ({edit.namespace})" if edit.namespace else "")
        table.add_row(
            edit.id,
            *(Text(text) for text in (edit.prompt, edit.target, state)),
            *(() if narrow else (more[0], more[1], Text(edit.author), more[2])),
        )
    out.print(table)
    if narrow and entries:
        out.print("liveedit edit show ID tells all of one; --json prints everything.")
