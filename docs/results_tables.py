"""Tables in results/*/README.md, made of the summaries beside them: `make results`.

    python docs/results_tables.py            # write them anew
    python docs/results_tables.py --check    # say which pages are not as they should be

A page says where a table belongs, and of which runs it is: all of its dataset with so many edits in
force, in which so many corrections were asked about.

    <!-- methods: edits 1 10, asked 100 -->
    <!-- end of methods -->

And what was asked from more sides, of all methods whose ``scope.json`` is there:

    <!-- scope -->
    <!-- end of scope -->

And what is left of other skills, of all whose ``general.json`` is of so many edits:

    <!-- general: edits 100 -->
    <!-- end of general -->

And what edits cost, of all whose ``cost.json`` is of so many:

    <!-- cost: edits 100 -->
    <!-- end of cost -->

And one correction at a time with a method's own defaults, under teacher forcing, of all methods in
``alone/``:

    <!-- alone -->
    <!-- end of alone -->

And which settings were chosen, of all methods with a ``tuning/chosen.json``:

    <!-- tuning -->
    <!-- end of tuning -->
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from leaderboard_rows import PICTURES, WORDS, Named, Row, named_by, rows_of
from leaderboard_scope import COLUMNS, ScopeRow, scope_rows

from liveedit.benchmark.report.labels import label

RESULTS = Path(__file__).resolve().parents[1] / "results"
_COLUMNS = ("rel", "t_gen", "m_gen", "t_loc", "m_loc", "ri", "ci")
_ALONE = ("rel", "t_gen", "m_gen", "m_loc")
_NUMBERS = r"(?P<edits>\d+(?: \d+)*)"
_PLACES = {
    kind: re.compile(
        rf"(?P<begin><!-- {kind}{wanted} -->\n).*?(?P<end><!-- end of {kind} -->)", re.DOTALL
    )
    for kind, wanted in (
        ("methods", rf": edits {_NUMBERS}, asked (?P<asked>\d+)"),
        ("general", rf": edits {_NUMBERS}"),
        ("cost", rf": edits {_NUMBERS}"),
        ("scope", ""),
        ("alone", ""),
        ("tuning", ""),
    )
}
Figure: TypeAlias = tuple[float, Sequence[float] | None]  # and its interval


@dataclass(frozen=True, kw_only=True)
class Tuned(Named):
    """What tuning chose.

    Args:
        chosen: Its ``chosen.json``.
    """

    chosen: dict[str, Any]


def filled(
    page: str,
    rows: Sequence[Row],
    scope: Sequence[ScopeRow] = (),
    tuned: Sequence[Tuned] = (),
    alone: Sequence[Row] = (),
) -> str:
    """A page with its tables made anew.

    Args:
        page: Markdown.
        rows: Of the page's dataset.
        scope: The same of trials of scope.
        tuned: The same of what tuning chose.
        alone: The same of one correction at a time.

    Raises:
        ValueError: If a table has no row, or its place is not of one of the forms above.
    """

    def methods(place: re.Match[str]) -> str:
        wanted, asked = set(map(int, place["edits"].split())), int(place["asked"])
        some = [
            row for row in rows
            if row.edits in wanted and row.asked == asked and row.mean("exact_match") is not None
        ]  # fmt: skip
        if not some:
            raise ValueError(f"no run is what a table is of: {place['begin'].strip()}")
        return table_of(some, several=len(wanted) > 1)

    def some_of(place: re.Match[str]) -> list[Row]:
        wanted = set(map(int, place["edits"].split()))
        return [row for row in rows if row.edits in wanted]

    tables: dict[str, Callable[[re.Match[str]], str]] = {
        "methods": methods,
        "general": lambda place: general_table_of(some_of(place)),
        "cost": lambda place: cost_table_of(some_of(place)),
        "scope": lambda _: scope_table_of(scope),
        "alone": lambda _: alone_table_of(alone),
        "tuning": lambda _: tuning_table_of(tuned),
    }
    for kind, form in _PLACES.items():
        if len(re.findall(rf"<!-- {kind}\b", page)) != len(form.findall(page)):
            raise ValueError(f"a place of {kind} is not of the form that this docstring shows")
        page = form.sub(partial(_remade, tables[kind]), page)
    return page


def _remade(make: Callable[[re.Match[str]], str], place: re.Match[str]) -> str:
    return place["begin"] + make(place) + place["end"]


def table_of(rows: Sequence[Row], *, several: bool) -> str:
    """Exact match and its interval, in per cent: the best method first.

    Args:
        rows: One line each, and its intervals below.
        several: Whether rows differ in their number of edits, so that each must say it.
    """
    best: dict[str, float] = {}
    for row in rows:
        best[row.name] = max(best.get(row.name, 0.0), _mean(row))
    lines = []
    for row in sorted(rows, key=lambda row: (-best[row.name], row.name, row.edits, row.folder)):
        edits = f", N&nbsp;=&nbsp;{row.edits:,}" if several else ""
        found = [row.figures[metric] for metric in _COLUMNS]
        figures = [(one["exact_match"], one.get("exact_interval")) for one in found]
        lines.append(((_linked(row) + edits, f"{_mean(row):.1f}"), figures))
    return _markdown(("", "mean"), [label(metric) for metric in _COLUMNS], lines)


def scope_table_of(rows: Sequence[ScopeRow]) -> str:
    """Right answers and their interval, in per cent, a method each."""
    columns = [column for column in COLUMNS if any(column in row.asked for row in rows)]

    def figure(row: ScopeRow, column: str) -> Figure | None:
        asked = row.asked[column][1] if column in row.asked else None
        return None if asked is None else (asked["right"], asked["interval"])

    lines = []
    for row in rows:
        called = _linked(row) + (f" ({row.limit})" if row.limit else "")
        lines.append(((called,), [figure(row, column) for column in columns]))
    return _markdown(("",), columns, lines)


def alone_table_of(rows: Sequence[Row]) -> str:
    """Tokens of the target and their interval, in per cent: who says it best is first."""
    lines = []
    for row in sorted(rows, key=lambda row: (-row.figures["rel"]["accuracy"], row.name)):
        found = [row.figures[metric] for metric in _ALONE]
        figures = [(one["accuracy"], one["interval"]) for one in found]
        lines.append(((_linked(row), f"{row.asked}"), figures))
    return _markdown(("", "corrections"), [label(metric) for metric in _ALONE], lines)


def general_table_of(rows: Sequence[Row]) -> str:
    """Questions that no correction is about, and their intervals, in per cent."""
    columns = {
        "easy-VQA, before": ("before", PICTURES),
        "easy-VQA, after": ("after", PICTURES),
        "easy-VQA, the same": ("unchanged", PICTURES),
        "text, the same": ("unchanged", WORDS),
    }
    told = [
        (row, [row.general[when][skill] for when, skill in columns.values()])
        for row in rows
        if row.general
    ]
    told.sort(key=lambda one: [-skill["percent"] for skill in one[1][::-1]])
    lines = [
        ((_linked(row),), [(one["percent"], one["interval"]) for one in found])
        for row, found in told
    ]
    return _markdown(("",), list(columns), lines)


def cost_table_of(rows: Sequence[Row]) -> str:
    """What an edit and an answer take, the cheapest edit first."""
    head = (
        "", "trained before, min", "s an edit", "kB an edit", "prefill", "decode",
        "s to take back", "as before",
    )  # fmt: skip
    lines = []
    known = [row for row in rows if "prefill" in row.cost and row.cost["edits"] == row.edits]
    for row in sorted(known, key=lambda row: row.cost["seconds_per_edit"]):
        cost, minutes, revoke = row.cost, row.trained.get("minutes"), row.cost["revoke"] or {}
        undone = cost["undone"]
        line = (
            _linked(row),
            "" if minutes is None else f"{minutes}",
            f"{cost['seconds_per_edit']:.2f}",
            f"{cost['bytes_per_edit'] / 1e3:,.1f}",
            f"{cost['prefill']['ratio']:.2f}",
            f"{cost['decode']['ratio']:.2f}",
            f"{revoke[max(revoke, key=int)]:.3f}" if revoke else "",
            f"{undone['same']} of {undone['questions']}" if undone else "",
        )
        lines.append(line)
    return _table(head, lines)


def tuning_table_of(rows: Sequence[Tuned]) -> str:
    """What was chosen for each method, and the objective on validation corrections."""
    head = ("", "chosen", "settings in all", "tried", "with the defaults", "with what was chosen")
    lines = []
    for row in rows:
        found = row.chosen
        settings = [f"`{name}={json.dumps(value)}`" for name, value in found["settings"].items()]
        line = (
            _linked(row),
            " ".join(settings).replace("|", r"\|") or "the defaults",
            f"{found['of']:,}",
            f"{found['trials']}",
            f"{found['default_score']:.1f}",
            f"{found['score']:.1f}",
        )
        lines.append(line)
    return _table(head, lines)


def tuned_of(folder: Path) -> list[Tuned]:
    """All that was tuned on a dataset, by name."""
    found = []
    for path in sorted(folder.glob("*/tuning/chosen.json")):
        chosen = json.loads(path.read_text(encoding="utf-8"))
        named = named_by(path.parent, folder.parent, chosen["method"])
        found.append(Tuned(**named, chosen=chosen))
    return found


def _markdown(
    head: Sequence[str],
    columns: Sequence[str],
    lines: Sequence[tuple[Sequence[str], Sequence[Figure | None]]],
) -> str:
    """Rows of figures, and their intervals below.

    Args:
        head: Columns of words, before those of figures.
        columns: Columns of figures.
        lines: Words and figures of each row; a figure that is missing is empty.
    """
    intervals = ["&nbsp;&nbsp;95%", *[""] * (len(head) - 1)]
    made = []
    for words, figures in lines:
        made.append([*words, *(f"{one[0]:.1f}" if one else "" for one in figures)])
        spread = ["{:.1f}–{:.1f}".format(*one[1]) if one and one[1] else "" for one in figures]
        made.append([*intervals, *spread])
    return _table([*head, *columns], made)


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    def written(line: Sequence[str]) -> str:
        return "|" + "".join(f" {cell} |" if cell else " |" for cell in line)

    return "\n".join([written(head), "|---" * len(head) + "|", *map(written, lines)]) + "\n"


def _mean(row: Row) -> float:
    """Of exact match over the objective's metrics."""
    return row.mean("exact_match") or 0.0


def _linked(row: Named) -> str:
    """The name, and the page about the method as seen from results/DATASET/README.md."""
    if row.link is None:
        return f"`{row.name}`"
    outside = row.link.startswith("http")
    link = row.link if outside else f"../../docs/{row.link.removesuffix('.html')}.md"
    return f"[`{row.name}`]({link})"


def main() -> int:
    """Write all pages anew, or say which are not as they should be."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing; 1 if a page is old")
    check: bool = parser.parse_args().check
    rows = rows_of(RESULTS)
    old = []
    for path in sorted(RESULTS.glob("*/README.md")):
        page = path.read_text(encoding="utf-8")
        own = [row for row in rows if row.folder.startswith(f"{path.parent.name}/")]
        alone = rows_of(path.parent, "alone/*")
        new = filled(page, own, scope_rows(path.parent), tuned_of(path.parent), alone)
        if new != page:
            old.append(path)
            if not check:
                path.write_text(new, encoding="utf-8")
    for path in old:
        print(
            "not as its summaries say:" if check else "written:", path.relative_to(RESULTS.parent)
        )
    return int(check and bool(old))


if __name__ == "__main__":
    sys.exit(main())
