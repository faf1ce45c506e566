"""Options of the verbs that make edits."""

from __future__ import annotations

import typer

from liveedit.cli.outcomes import Superseding

REFUSE = typer.Option(
    False,
    "--refuse-conflicts",
    help="Write nothing that contradicts or repeats an edit in force: exit status 3.",
)
SUPERSEDE = typer.Option(
    Superseding.same,
    help="Which earlier edits go out of force: of the same picture and question, also those that "
    "are alike, or none.",
)
PREVIEW = typer.Option(False, "--preview", help="Only say what would come of it.")
KEEP = typer.Option(
    False, "--keep", help="Put in force even if the model would still answer something else."
)
