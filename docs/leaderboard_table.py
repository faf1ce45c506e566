"""Tables in HTML that sort by a column; _static/leaderboard.js does it."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TypeAlias

from leaderboard_rows import Named

Cell: TypeAlias = tuple[str, float | None, str]  # shown, sorted by, and what is said of it


def named(row: Named, *about: str) -> Cell:
    """The first cell of a row: its name, the page of its method, and what is said of it.

    Args:
        row: A row.
        about: What is said behind its note and its folder.
    """
    name = escape(row.name)
    shown = f'<a href="{escape(row.link, quote=True)}">{name}</a>' if row.link else name
    return (shown, None, "; ".join(part for part in (row.note, row.folder, *about) if part))


def number(value: float | None, digits: int, said: str = "") -> Cell:
    """A cell that is sorted by its value; empty, and last, without one."""
    return ("", None, "") if value is None else (f"{value:,.{digits}f}", value, said)


def table(
    caption: str,
    columns: Sequence[str],
    lines: Sequence[Sequence[Cell]],
    kind: str = "",
) -> str:
    """A table, the first cell of each row its heading.

    Args:
        caption: Above it.
        columns: Their headings, which sort.
        lines: Cells of each row, as many as there are columns.
        kind: A further class, for the stylesheet.
    """
    head = "".join(
        f'<th scope="col"><button type="button">{escape(column)}</button></th>'
        for column in columns
    )
    body = []
    for line in lines:
        cells = []
        for at, (shown, by, said) in enumerate(line):
            tag = "th" if at == 0 else "td"
            scope = ' scope="row"' if at == 0 else ""
            sorts = "" if by is None else f' data-value="{by}"'
            title = f' title="{escape(said, quote=True)}"' if said else ""
            cells.append(f"<{tag}{scope}{sorts}{title}>{shown}</{tag}>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    called = f'aria-label="{escape(caption)}"'
    return (
        f'<div class="leaderboard {kind}" role="region" tabindex="0" {called}>'
        f"<table><caption>{escape(caption)}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(body)}</tbody></table></div>"
    )


def raw_html(text: str) -> str:
    """HTML within Markdown."""
    return f"```{{raw}} html\n{text}\n```"
