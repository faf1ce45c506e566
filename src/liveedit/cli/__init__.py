"""The command ``liveedit``; one file a verb."""

from __future__ import annotations

import io
import logging
import os
import sys

import typer

from liveedit import __version__
from liveedit.cli import (
    ask,
    bench,
    calibrate,
    data,
    demo,
    doctor,
    edit,
    keys,
    methods,
    pocket,
    serve,
    store,
    train,
)  # fmt: skip
from liveedit.cli.remote import Verbs
from liveedit.errors import ConflictingEdit, LiveEditError, TargetNotReached

_TALKATIVE = ("torchao", "torch.utils._pytree")  # where torchao is, transformers imports it

app = typer.Typer(
    cls=Verbs,
    help="Correct a vision-language model one answer at a time, without touching its weights.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.command("train")(train.train)
app.command("calibrate")(calibrate.calibrate)
app.command("ask")(ask.ask)
app.command("methods")(methods.methods)
app.command("serve")(serve.serve)
app.add_typer(bench.app, name="bench")
app.add_typer(data.app, name="data")
app.add_typer(edit.app, name="edit")
app.add_typer(keys.app, name="keys")
app.add_typer(pocket.app, name="pocket")
app.add_typer(store.app, name="store")


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
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)


def main() -> None:
    """Run the command; an error of ours is one sentence and exit status 2.

    A correction that is refused because it contradicts or repeats another is exit status 3, one
    that the model would not follow exit status 4.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal may know no umlaut, nor a check mark
            stream.reconfigure(errors="backslashreplace")
    # where the locale is C, what was typed arrives as bytes in disguise
    sys.argv[1:] = [os.fsencode(argument).decode(errors="replace") for argument in sys.argv[1:]]
    try:
        app()
    except ConflictingEdit as error:
        print(f"liveedit: {error}", file=sys.stderr)
        sys.exit(3)
    except TargetNotReached as error:
        print(f"liveedit: {error}", file=sys.stderr)
        sys.exit(4)
    except LiveEditError as error:
        print(f"liveedit: {error}", file=sys.stderr)
        sys.exit(2)
