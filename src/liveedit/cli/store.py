"""``liveedit store``: look after a store of edits."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

import typer

from liveedit.cli.common import AS_OF, JSON, STORE
from liveedit.cli.store_pictures import facts, pictures
from liveedit.cli.store_settings import settings

app = typer.Typer(help="Check, compact, migrate and look at a store.", no_args_is_help=True)
app.command()(pictures)
app.command()(settings)


@app.command()
def check(store: str = STORE, as_json: bool = JSON) -> None:
    """Read everything again and compare it with its checksums; exit status 1 if anything is bad."""
    from tqdm import tqdm

    from liveedit.store.check import check_store

    log = _log(store)
    with tqdm(desc="checking", unit="edit", disable=None) as bar:
        report = check_store(log, bar.update)
    if as_json:
        print(json.dumps({**asdict(report), "clean": report.clean}))
    else:
        for problem in report.problems:
            print(problem)
        verdict = "clean" if report.clean else f"{len(report.problems)} problems"
        counts = f"{report.edits} edits, {report.revisions} revisions, {report.pictures} pictures"
        print(f"{counts}: {verdict}")
    if not report.clean:
        raise typer.Exit(1)


@app.command()
def compact(store: str = STORE, as_json: bool = JSON) -> None:
    """Give unused space back; nothing that was written is dropped."""
    database = _log(store).database
    before = database.size()
    database.compact()
    print_facts({"bytes_before": before, "bytes": database.size()}, as_json)


@app.command()
def migrate(store: str = STORE, as_json: bool = JSON) -> None:
    """Bring a store of an earlier release to this one's schema, in one transaction."""
    from liveedit.store import schema

    _log(store)
    print_facts({"schema": schema.VERSION}, as_json)


@app.command()
def info(store: str = STORE, as_of: int | None = AS_OF, as_json: bool = JSON) -> None:
    """Say what a store holds, and what its edits were made with."""
    from liveedit.store import schema
    from liveedit.store.carried import source_of

    log = _log(store)
    source = source_of(log)
    entries = log.entries(as_of=as_of)
    print_facts(
        {
            "location": log.location,
            "schema": schema.VERSION,
            "revision": log.revision if as_of is None else as_of,
            "edits": len(entries),
            "states": dict(Counter(entry.state for entry in entries)),
            "namespaces": dict(Counter(entry.edit.namespace for entry in entries)),
            "bytes": log.database.size(),
            "pictures": facts(log),
            **({} if source is None else {"rebased_from": source["location"]}),
            "method": log.identity.method,
            "settings": dict(log.identity.settings),
            "fingerprint": log.identity.fingerprint,
        },
        as_json,
    )


@app.command("log")
def log_(
    store: str = STORE,
    after: int = typer.Option(0, min=0, help="Only later revisions."),
    as_json: bool = JSON,
) -> None:
    """Show the revisions: what was done, by whom, and why."""
    for one in _log(store).history(after=after):
        if as_json:
            print(json.dumps({**asdict(one), "created": one.created.isoformat()}))
        else:
            print(
                f"{one.revision:6d}  {one.created:%Y-%m-%d %H:%M}  {one.kind:8} "
                f"{len(one.edits):5d} edits  {one.author}  {one.reason}"
            )


@app.command()
def diff(
    old: int = typer.Argument(min=0, help="A revision."),
    new: int | None = typer.Argument(None, min=0, help="Another; the newest by default."),
    store: str = STORE,
    as_json: bool = JSON,
) -> None:
    """Show which edits came into force between two revisions, and which went."""
    log = _log(store)
    came, went = log.difference(old, log.revision if new is None else new)
    if as_json:
        told = {"came": came, "went": went}
        print(
            json.dumps(
                {name: [edit.as_json() for edit in edits] for name, edits in told.items()},
                ensure_ascii=False,
            )
        )
        return
    for sign, edits in (("+", came), ("-", went)):
        for edit in edits:
            print(f"{sign} {edit.id}  {edit.prompt} -> {edit.target}")


def _log(store: str) -> Any:
    from liveedit.store.log import EditLog

    return EditLog(store)


def print_facts(told: dict[str, Any], as_json: bool) -> None:
    """Facts as lines, or as JSON."""
    if as_json:
        print(json.dumps(told, ensure_ascii=False))
        return
    for name, value in told.items():
        if isinstance(value, dict):
            value = ", ".join(f"{key or '(default)'}: {each}" for key, each in value.items())
        print(f"{name:13} {value}")
