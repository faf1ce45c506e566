"""The command ``liveedit``; one file a verb."""

from __future__ import annotations

import logging
import sys

import typer

from liveedit import __version__
from liveedit.cli import bench, data, demo, doctor, pocket, train
from liveedit.errors import LiveEditError

app = typer.Typer(
    help="Correct a vision-language model one answer at a time, without touching its weights.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("train")(train.train)
app.add_typer(bench.app, name="bench")
app.add_typer(data.app, name="data")
app.add_typer(pocket.app, name="pocket")


def _version(wanted: bool) -> None:
    if wanted:
        print(f"liveedit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Show the version."
    ),
    verbose: bool = typer.Option(False, "--verbose", "-v", help="Say what is going on."),
) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="%(message)s")


def main() -> None:
    """Run the command; an error of ours is one sentence and exit status 2."""
    try:
        app()
    except LiveEditError as error:
        print(f"liveedit: {error}", file=sys.stderr)
        sys.exit(2)
