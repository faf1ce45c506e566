"""``liveedit ask`` and ``liveedit edit`` with ``--server``: the same verbs, done by a server."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from liveedit.cli.common import AS_OF, JSON
from liveedit.cli.outcomes import Superseding

if TYPE_CHECKING:
    from liveedit.client import Client, ServedEdit

SERVER = typer.Option(..., "--server", help="Its address, as http://127.0.0.1:8000.")
KEY = typer.Option(None, "--key", envvar="LIVEEDIT_KEY", help="API key, if it wants one.")
NAMESPACE = typer.Option(None, help="The set of edits; the key's own by default.")
REASON = typer.Option("", help="Why.")
_EXITS = {"target_not_reached": 4, "conflicting_edit": 3}

app = typer.Typer(no_args_is_help=True)
edit = typer.Typer(help="Add, look at, revoke, restore and export a server's edits.",
                   no_args_is_help=True)  # fmt: skip
app.add_typer(edit, name="edit")


class Verbs(TyperGroup):
    """The command; where ``--server`` is given, a server does what the verb says."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The verb that is meant."""
        served = any(one.partition("=")[0] == "--server" for one in args)
        if served and args[0] in ("ask", "edit"):
            there = typer.main.get_command(app)
            return there.resolve_command(ctx, args)  # type: ignore[attr-defined]
        return super().resolve_command(ctx, args)


@app.command()
def ask(
    image: str = typer.Argument(help="A picture's file; - for a question without one."),
    question: str = typer.Argument(help="What to ask."),
    server: str = SERVER,
    key: str | None = KEY,
    as_of: int | None = AS_OF,
    namespace: str | None = NAMESPACE,
    max_new_tokens: int = typer.Option(256, min=1, help="Longest answer."),
    as_json: bool = JSON,
) -> None:
    """Ask a server."""
    picture = None if image == "-" else image
    with _client(server, key) as client:
        answer = client.ask(
            picture, question, namespace=namespace, revision=as_of, max_tokens=max_new_tokens
        )
    if as_json:
        _print(asdict(answer))
    else:
        print(answer.text)


@edit.command()
def add(
    prompt: str = typer.Option(..., help="The question."),
    target: str = typer.Option(..., help="The right answer."),
    image: list[Path] = typer.Option([], help="The picture; none for a text-only correction."),
    rephrasing: list[str] = typer.Option([], help="The question in other words."),
    server: str = SERVER,
    key: str | None = KEY,
    reason: str = REASON,
    namespace: str | None = NAMESPACE,
    keep: bool = typer.Option(False, "--keep", help="Put in force even if it is not reached."),
    preview: bool = typer.Option(False, "--preview", help="Only say what would come of it."),
    supersede: Superseding = typer.Option(
        Superseding.same, help="Which earlier edits go out of force."
    ),
    as_json: bool = JSON,
) -> None:
    """Correct one answer of a server; the key's name is the author.

    Exit status 4 if the model would still answer something else: then nothing is written.
    """
    with _client(server, key) as client:
        words = {"rephrasings": rephrasing, "namespace": namespace, "supersede": supersede.value}
        if preview:
            made = client.preview(image, prompt, target, **words)  # type: ignore[arg-type]
        else:
            made = client.edit(image, prompt, target, reason=reason, keep=keep, **words)  # type: ignore[arg-type]
    if as_json:
        _print({**_row(made), "written": not preview})
        return
    for one in made.conflicts:
        what = "supersedes" if one["id"] in made.supersedes else one["kind"]
        print(f"{what} {one['id']} ({one['prompt']} -> {one['target']})")
    how = "the target is given" if made.reached else "THE TARGET IS NOT REACHED"
    if made.answer is not None:
        how += f": the answer is {made.answer!r}"
    print(f"{'would be written' if preview else made.id}: {how}")


@edit.command("list")
def list_(
    server: str = SERVER,
    key: str | None = KEY,
    namespace: str | None = NAMESPACE,
    everything: bool = typer.Option(False, "--all", help="Also what is superseded or revoked."),
    as_json: bool = JSON,
) -> None:
    """Show the edits in force."""
    with _client(server, key) as client:
        state = "" if everything else "in force"
        _show(list(client.edits(namespace=namespace, state=state)), as_json)


@edit.command()
def search(
    text: str = typer.Argument(help="In question, answer, author or reason, in any case."),
    server: str = SERVER,
    key: str | None = KEY,
    namespace: str | None = NAMESPACE,
    as_json: bool = JSON,
) -> None:
    """Find edits by their text; exit status 1 if there are none."""
    with _client(server, key) as client:
        found = list(client.edits(namespace=namespace, search=text))
    _show(found, as_json)
    if not found:
        raise typer.Exit(1)


@edit.command()
def show(
    edit: str = typer.Argument(help="Its id."),
    server: str = SERVER,
    key: str | None = KEY,
    as_json: bool = JSON,
) -> None:
    """Show all there is about an edit."""
    with _client(server, key) as client:
        row = _row(client.get(edit))
    if as_json:
        _print(row)
        return
    for name, value in row.items():
        print(f"{name:11} {', '.join(map(str, value)) if isinstance(value, list) else value}")


@edit.command()
def revoke(
    edits: list[str] = typer.Argument(help="Their ids."),
    server: str = SERVER,
    key: str | None = KEY,
    reason: str = REASON,
    as_json: bool = JSON,
) -> None:
    """Take edits back, all of them or none."""
    with _client(server, key) as client:
        _show(client.revoke_many(edits, reason=reason), as_json)


@edit.command()
def restore(
    edits: list[str] = typer.Argument(help="Their ids."),
    server: str = SERVER,
    key: str | None = KEY,
    reason: str = REASON,
    as_json: bool = JSON,
) -> None:
    """Put edits that were revoked in force again, all of them or none."""
    with _client(server, key) as client:
        _show(client.restore_many(edits, reason=reason), as_json)


@edit.command()
def export(
    out: Path = typer.Option(..., "--out", help="A zip file."),
    server: str = SERVER,
    key: str | None = KEY,
    namespace: str | None = NAMESPACE,
    everything: bool = typer.Option(False, "--all", help="All namespaces (scope admin)."),
) -> None:
    """Write a server's edits as a zip file."""
    with _client(server, key) as client:
        print(client.export(out, namespace=namespace, everything=everything))


@edit.command("import")
def import_(
    file: Path = typer.Argument(help="A zip file that `export --server` wrote."),
    server: str = SERVER,
    key: str | None = KEY,
    as_json: bool = JSON,
) -> None:
    """Have a server take up what another gave (scope admin)."""
    with _client(server, key) as client:
        made = client.import_(file)
    if as_json:
        _print(asdict(made))
    else:
        print(f"{made.added} added, {made.known} known before")


@contextmanager
def _client(server: str, key: str | None) -> Iterator[Client]:
    from liveedit.client import Client
    from liveedit.errors import RequestRefused

    try:
        with Client(server, key) as client:
            yield client
    except RequestRefused as error:
        code = _EXITS.get(error.code or "")
        if code is None:
            raise
        print(f"liveedit: {error}", file=sys.stderr)
        raise typer.Exit(code) from error


def _row(one: ServedEdit) -> dict[str, Any]:
    return {**asdict(one), "created": one.created.isoformat()}


def _show(found: Sequence[ServedEdit], as_json: bool) -> None:
    if as_json:
        _print([_row(one) for one in found])
        return
    from rich.table import Table
    from rich.text import Text

    from liveedit.cli.common import console

    table = Table()
    table.add_column("id", no_wrap=True)
    for column in ("question", "answer", "state", "author"):
        table.add_column(column, overflow="fold")
    for one in found:
        table.add_row(
            one.id, *(Text(text) for text in (one.prompt, one.target, one.state, one.author))
        )
    console().print(table)


def _print(told: Any) -> None:
    print(json.dumps(told, ensure_ascii=False))
