"""``liveedit keys``: who may use a server."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import typer

from liveedit.cli.common import JSON, console

app = typer.Typer(help="Make, list and revoke API keys of a server.", no_args_is_help=True)
KEYS = typer.Option(Path("keys.json"), "--keys", envvar="LIVEEDIT_KEYS", help="File of the keys.")


@app.command()
def add(
    name: str = typer.Argument(help="Whose it is: the author of what is done with it."),
    scope: str = typer.Option("ask", help="ask; edit (asking too); metrics; admin (everything)."),
    namespace: list[str] = typer.Option(
        [""], "--namespace", help="Sets of edits it is for; * for all. May be given several times."
    ),
    keys: Path = KEYS,
    as_json: bool = JSON,
) -> None:
    """Make a key; it is shown once, and kept hashed."""
    from liveedit.serve.keys import SCOPES, KeyFile

    chosen = next((one for one in SCOPES if one == scope), None)
    if chosen is None:
        raise typer.BadParameter(f"{scope!r} is none of {', '.join(SCOPES)}", param_hint="--scope")
    token = KeyFile(keys).add(name, [chosen], namespace)
    if as_json:
        print(json.dumps({"name": name, "scope": scope, "namespaces": namespace, "key": token}))
    else:
        print(f"{token}\nThis key of {name} is not shown again.")


@app.command("list")
def list_(keys: Path = KEYS, as_json: bool = JSON) -> None:
    """All keys, without what they open."""
    from rich.table import Table

    from liveedit.serve.keys import KeyFile

    found = KeyFile(keys).keys()
    if as_json:
        rows = [{k: v for k, v in asdict(key).items() if k != "digest"} for key in found]
        print(json.dumps(rows))
        return
    table = Table()
    for column in ("name", "may", "namespaces", "made", "revoked"):
        table.add_column(column)
    for key in found:
        spaces = ", ".join(space if space else repr(space) for space in key.namespaces)
        table.add_row(key.name, ", ".join(key.scopes), spaces, key.created, key.revoked)
    console().print(table)


@app.command()
def revoke(name: str = typer.Argument(help="Whose key."), keys: Path = KEYS) -> None:
    """A key is good no more, also for a server that is running."""
    from liveedit.serve.keys import KeyFile

    KeyFile(keys).revoke(name)
    print(f"revoked: {name}")
