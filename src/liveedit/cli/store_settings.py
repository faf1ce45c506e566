"""``liveedit store settings``: the method's settings that a store keeps."""

from __future__ import annotations

from pathlib import Path

import typer

from liveedit.cli.common import JSON, STORE, quieten


def settings(
    store: str = STORE,
    keep: Path | None = typer.Option(
        None,
        help="File of settings that it keeps from now on, as --settings takes it.",
    ),
    defaults: bool = typer.Option(False, "--defaults", help="From now on keep the defaults."),
    as_json: bool = JSON,
) -> None:
    """Say which settings of its method the store keeps, and change them.

    A store keeps those it was made with. Whatever opens it has them, unless others are given
    (--settings). Edits stay as they were made.
    """
    from liveedit.cli.store import print_facts
    from liveedit.store.kept_settings import keep_settings
    from liveedit.store.log import EditLog

    if keep is not None and defaults:
        raise typer.BadParameter("give a file or --defaults, not both", param_hint="--keep")
    log = EditLog(store)
    kept = dict(log.identity.settings)
    if keep is not None:
        quieten()
        from liveedit.methods.chosen_settings import read_chosen
        from liveedit.methods.registry import method_class

        chosen = read_chosen(keep, method_class(log.identity.method))
        kept = chosen.model_dump(mode="json", exclude_defaults=True)
    elif defaults:
        kept = {}
    if kept != log.identity.settings:
        keep_settings(log, kept)
    print_facts({"method": log.identity.method, "settings": kept}, as_json)
