"""Options that several verbs share, and quiet libraries."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from liveedit.editor import EditedModel

MODEL = typer.Option("pocket", "--model", help="'pocket', or the folder of a LLaVA model.")
EDITOR = typer.Option(
    None, "--editor", help="Folder that `liveedit train` wrote; the shipped one for 'pocket'."
)
JSON = typer.Option(False, "--json", help="Print JSON for programs.")


def quieten() -> None:
    """Keep libraries' own notices off the terminal; their errors stay."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def load(model: str, editor: Path | None) -> EditedModel:
    """The model that a verb works on."""
    quieten()
    from liveedit.editor import EditedModel

    return EditedModel.from_pretrained(model, editor=editor)
