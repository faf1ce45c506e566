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
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from leaderboard_rows import PICTURES, WORDS, Named, Row, rows_of
from leaderboard_scope import COLUMNS, ScopeRow, scope_rows

from liveedit.benchmark.report.labels import label

RESULTS = Path(__file__).resolve().parents[1] / "results"
_COLUMNS = ("rel", "t_gen", "m_gen", "t_loc", "m_loc", "ri", "ci")
_PLACE = re.compile(
    r"(?P<begin><!-- methods: edits (?P<edits>\d+(?: \d+)*), asked (?P<asked>\d+) -->\n)"
    r".*?(?P<end><!-- end of methods -->)",
    re.DOTALL,
)
_GENERAL = re.compile(
    r"(?P<begin><!-- general: edits (?P<edits>\d+) -->\n).*?(?P<end><!-- end of general -->)",
    re.DOTALL,
)
_SCOPE = re.compile(
    r"(?P<begin><!-- scope -->\n).*?(?P<end><!-- end of scope -->)",
    re.DOTALL,
)


def filled(page: str, rows: Sequence[Row], scope: Sequence[ScopeRow] = ()) -> str:
    """A page with its tables made anew.

    Args:
        page: Markdown.
        rows: Of the page's dataset.
        scope: The same of trials of scope.

    Raises:
        ValueError: If a table has no row, or begins and does not end.
    """

    def table(place: re.Match[str]) -> str:
        edits, asked = map(int, place["edits"].split()), int(place["asked"])
        wanted = set(edits)
        some = [
            row for row in rows
            if row.edits in wanted and row.asked == asked and row.mean("exact_match") is not None
        ]  # fmt: skip
        if not some:
            raise ValueError(f"no run is what a table is of: {place['begin'].strip()}")
        return place["begin"] + table_of(some, several=len(wanted) > 1) + place["end"]

    if page.count("<!-- methods:") != len(_PLACE.findall(page)):
        raise ValueError("a table's place is not of the form that this module's docstring shows")

    def general(place: re.Match[str]) -> str:
        some = [row for row in rows if row.general and row.edits == int(place["edits"])]
        return place["begin"] + general_table_of(some) + place["end"]

    page = _GENERAL.sub(general, _PLACE.sub(table, page))
    return _SCOPE.sub(lambda place: place["begin"] + scope_table_of(scope) + place["end"], page)


def table_of(rows: Sequence[Row], *, several: bool) -> str:
    """Exact match and its interval, in per cent: the best method first.

    Args:
        rows: One line each, and its intervals below.
        several: Whether rows differ in their number of edits, so that each must say it.
    """
    best: dict[str, float] = {}
    for row in rows:
        best[row.name] = max(best.get(row.name, 0.0), _mean(row))
    ordered = sorted(rows, key=lambda row: (-best[row.name], row.name, row.edits, row.folder))
    lines = ["| | mean | " + " | ".join(map(label, _COLUMNS)) + " |"]
    lines.append("|---" * (len(_COLUMNS) + 2) + "|")
    for row in ordered:
        edits = f", N = {row.edits:,}" if several else ""
        figures = [row.figures[metric]["exact_match"] for metric in _COLUMNS]
        lines.append(
            f"| {_linked(row)}{edits} | {_mean(row):.1f} | "
            + " | ".join(f"{figure:.1f}" for figure in figures) + " |"
        )  # fmt: skip
        intervals = [row.figures[metric].get("exact_interval") for metric in _COLUMNS]
        said = ["{:.1f}–{:.1f}".format(*of) if of else "" for of in intervals]
        lines.append("| &nbsp;&nbsp;95% | | " + " | ".join(said) + " |")
    return "\n".join(lines) + "\n"


def scope_table_of(rows: Sequence[ScopeRow]) -> str:
    """Right answers and their interval, in per cent, a method each."""
    columns = [column for column in COLUMNS if any(column in row.asked for row in rows)]
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for row in rows:
        asked = [row.asked[column][1] if column in row.asked else None for column in columns]
        said = [f"{of['right']:.1f}" if of else "" for of in asked]
        spread = ["{:.1f}–{:.1f}".format(*of["interval"]) if of else "" for of in asked]
        lines.append(f"| {_linked(row)} | " + " | ".join(said) + " |")
        lines.append("| &nbsp;&nbsp;95% | " + " | ".join(spread) + " |")
    return "\n".join(lines) + "\n"


def general_table_of(rows: Sequence[Row]) -> str:
    """Questions that no correction is about, and their intervals, in per cent."""
    columns = {
        "easy-VQA, before": ("before", PICTURES),
        "easy-VQA, after": ("after", PICTURES),
        "easy-VQA, the same": ("unchanged", PICTURES),
        "text, the same": ("unchanged", WORDS),
    }
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    told = [(row, [row.general[when][skill] for when, skill in columns.values()]) for row in rows]
    for row, figures in sorted(told, key=lambda one: [-of["percent"] for of in one[1][::-1]]):
        said = [f"{of['percent']:.1f}" for of in figures]
        spread = ["{:.1f}–{:.1f}".format(*of["interval"]) for of in figures]
        lines.append(f"| {_linked(row)} | " + " | ".join(said) + " |")
        lines.append("| &nbsp;&nbsp;95% | " + " | ".join(spread) + " |")
    return "\n".join(lines) + "\n"


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
        new = filled(page, own, scope_rows(path.parent))
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
