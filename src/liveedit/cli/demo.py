"""``liveedit demo``: see the main job happen."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from liveedit.cli.common import EDITOR, JSON, load

if TYPE_CHECKING:
    from liveedit.demo.rows import DemoRow


def demo(
    out: Path = typer.Option(Path("liveedit-demo.html"), help="Where the page goes."),
    editor: Path | None = EDITOR,
    as_json: bool = JSON,
) -> None:
    """Correct five wrong answers of the pocket VLM, ask around them, and take them back.

    The first time the model is built from the installed packages (about half a minute).
    """
    began = time.perf_counter()
    model = load("pocket", editor)
    from liveedit.demo.page import render_page
    from liveedit.demo.run import run_demo

    rows = run_demo(model)
    seconds = time.perf_counter() - began
    page = render_page(
        rows, backbone="pocket VLM (SmolLM2-135M, EfficientNet-Lite2)", seconds=seconds
    )
    out.write_text(page, encoding="utf-8")
    if as_json:
        print(json.dumps([row.as_json() for row in rows], ensure_ascii=False))
    else:
        _show(rows, out, seconds)


def _show(rows: Sequence[DemoRow], out: Path, seconds: float) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    for number, row in enumerate(rows, 1):
        table = Table(
            title=f"{number}. {row.family}: [red]{escape(row.before)}[/] → "
            f"[bold]{escape(row.target)}[/]",
            title_justify="left",
            title_style="",
            width=min(console.width, 100),
        )
        table.add_column("", ratio=5)
        table.add_column("question", ratio=9, style="dim")
        table.add_column("answer", ratio=8)
        for label, question, answer, good in (
            ("corrected", row.prompt, row.after, row.corrected),
            ("rephrased", row.rephrased_prompt, row.rephrased, row.rephrased_right),
            ("another picture", row.prompt, row.about_another, row.another_right),
            ("strict neighbour", row.neighbour_prompt, row.neighbour_after, row.neighbour_kept),
            ("revoked", row.prompt, row.revoked, row.forgotten),
        ):
            mark = "[green]✓[/]" if good else "[red]✗[/]"
            table.add_row(label, escape(question), f"{mark} {escape(answer)}")
        console.print(table)
    failures = [(row.prompt, failure) for row in rows for failure in row.failures()]
    if failures:
        console.print(f"{len(failures)} of {5 * len(rows)} checks failed:")
        for prompt, failure in failures:
            console.print(f"  {escape(prompt)} {escape(failure)}")
    else:
        console.print(f"All {5 * len(rows)} checks succeeded.")
    console.print(
        "The five were picked from wrong answers that a correction mends; how often it does: "
        "liveedit bench run"
    )
    console.print(f"{seconds:.0f} s. The same with pictures: {out}")
