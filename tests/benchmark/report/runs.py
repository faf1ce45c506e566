"""Runs as ``liveedit bench run`` leaves them, written by hand; and pages, read."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from statistics import fmean
from typing import Any

VOID = {"meta", "link", "img", "path", "use", "rect", "br"}


def record(case: int, metric: str, **changes: Any) -> dict[str, Any]:
    """A probe that is right; for locality, one at which nothing fires."""
    wanted = metric in ("rel", "t_gen", "m_gen", "text_rel", "text_gen")
    text = metric.startswith("text")
    return {
        "group": 0,
        "case": case,
        "metric": metric,
        "prompt": f"What is {case} ({metric})?",
        "expected": f"answer {case}",
        "answer": f"answer {case}",
        "accuracy": 1.0,
        "before": 0.25 if wanted else None,
        "exact": True,
        "passed": 1 if wanted else 0,
        "own": 0.9 if wanted else 0.0,
        "margin": None if text else (2.0 if wanted else -2.0),
        "asked": 1.5,
        "top": {"case": case, "text_only": text, "weight": 0.9} if wanted else None,
        **changes,
    }


def wrong(case: int, metric: str, **changes: Any) -> dict[str, Any]:
    """The same with a wrong answer, no token right."""
    return record(case, metric, **{"accuracy": 0.0, "exact": False, "answer": "no", **changes})


def figures(records: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What a summary says of some records; intervals are two points wide, four of exact match."""
    by_metric = defaultdict(list)
    for one in records:
        by_metric[one["metric"]].append(one)

    def mean(rows: Sequence[Mapping[str, Any]], key: str) -> float | None:
        known = [row[key] for row in rows if row[key] is not None]
        return round(100 * fmean(known), 2) if known else None

    found = {}
    for metric, rows in by_metric.items():
        accuracy, exact = mean(rows, "accuracy") or 0.0, mean(rows, "exact")
        found[metric] = {
            "accuracy": accuracy,
            "interval": [max(0.0, accuracy - 1), min(100.0, accuracy + 1)],
            "exact_match": exact,
            "exact_interval": None if exact is None else [exact - 2, exact + 2],
            "before": mean(rows, "before"),
            "n": len(rows),
        }
    return found


def write_run(
    folder: Path, records: Mapping[int, Sequence[Mapping[str, Any]]], **changes: Any
) -> Path:
    """Write a run's folder; ``changes`` are to its summary."""
    folder.mkdir(parents=True)
    for n, some in records.items():
        lines = [json.dumps(one, ensure_ascii=False) + "\n" for one in some]
        (folder / f"records-{n}.jsonl").write_text("".join(lines), encoding="utf-8")
    summary = {
        "dataset": "emoji-edit",
        "split": "validation",
        "method": "liveedit",
        "backbone": "pocket-0123",
        "corrections": 6,
        "dtype": "float32",
        "version": "0.1.0",
        "editor": {"rank": 8},
        "editing": {"supersede": True},
        "seconds_before": 1.0,
        "runs": {
            str(n): {
                "metrics": figures(some),
                "seconds": 3.5,
                "corrections_per_second": 7.25,
            }
            for n, some in records.items()
        },
        **changes,
    }
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    return folder


class Page(HTMLParser):
    """Every tag with its attributes, all visible text, and whether the tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        self.tags.append((tag, dict(attributes)))
        self.text += " "
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: Any) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())
