"""``liveedit methods``: the editing methods that are installed."""

from __future__ import annotations

import json

import typer

from liveedit.cli.common import JSON


def methods(as_json: bool = JSON) -> None:
    """List the editing methods: ours, and those of installed packages.

    The exit status is 1 if one of them cannot be imported.
    """
    from liveedit.errors import BrokenPlugin, MissingExtra
    from liveedit.methods.registry import method_class, method_names

    found: list[dict[str, str | None]] = []
    for name in method_names():
        try:
            about = (method_class(name).__doc__ or "").strip().split("\n")[0]
            found.append({"method": name, "about": about, "problem": None})
        except (BrokenPlugin, MissingExtra) as error:
            found.append({"method": name, "about": None, "problem": str(error)})
    if as_json:
        print(json.dumps(found))
    else:
        for one in found:
            print(f"{one['method']:12} {one['about'] or one['problem']}")
    if any(one["problem"] for one in found):
        raise typer.Exit(1)
