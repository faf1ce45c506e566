"""Options that several verbs share, and quiet libraries."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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


def load(model: str, editor: Path | None, store: str | None = None) -> EditedModel:
    """The model that a verb works on."""
    quieten()
    from liveedit.editor import EditedModel

    return EditedModel.from_pretrained(model, editor=editor, store=store)


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
