"""Switches of ``liveedit bench``: LiveEdit without its refinement, or without superseding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from liveedit.editor import EditedModel

REFINE: bool = typer.Option(True, help="Refine experts that fall short of their target.")
SUPERSEDE: bool = typer.Option(True, help="Let an edit supersede what it contradicts.")


def switch(edited: EditedModel, *, refine: bool, supersede: bool) -> None:
    """Set the switches; these values are no settings to choose among.

    Args:
        edited: Its method's settings are replaced.
        refine: ``--refine``.
        supersede: ``--supersede``.

    Raises:
        typer.BadParameter: The method has no such switch.
    """
    method = edited.method
    switches = ({} if supersede else {"supersede": "never"}) | (
        {} if refine else {"refine_steps": 0}
    )
    unknown = switches.keys() - type(method.config).model_fields.keys()
    if unknown:
        name = unknown.pop().removesuffix("_steps")
        raise typer.BadParameter(f"{method.name} has no such switch", param_hint=f"--no-{name}")
    method.config = method.config.model_copy(update=switches)
