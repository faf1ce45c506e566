"""One benchmark run, from a loaded model to ``summary.json`` and ``records-N.jsonl``."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from liveedit.benchmark.emoji_edit import evaluation_set, validation_set
from liveedit.benchmark.knowledge import text_evaluation_set, text_validation_set
from liveedit.benchmark.metrics import summarise
from liveedit.benchmark.protocol import Protocol, groups_of
from liveedit.benchmark.reading import read
from liveedit.benchmark.retention import retention
from liveedit.cache import cache_folder
from liveedit.editor import EditedModel


def run_benchmark(
    model: EditedModel,
    folder: Path,
    *,
    edits: Sequence[int],
    limit: int | None = None,
    split: str = "evaluation",
    generate: bool = True,
    later: Sequence[int] = (),
    cache: Path | None = None,
    max_new_tokens: int = 16,
) -> dict[str, Any]:
    """Run emoji-edit with LiveEdit.

    Args:
        model: A model without edits.
        folder: Where the files go.
        edits: Every N, the size of a group.
        limit: How many corrections of the split; all by default.
        split: ``evaluation``, or ``validation`` to choose settings on.
        generate: Whether answers are generated, too.
        later: For retention: how many edits come after the first hundred; none for no retention.
        cache: Where the unedited model's answers and states are kept; in the user's cache folder
            by default.
        max_new_tokens: Longest answer.

    Returns:
        The summary, as written.
    """
    on_evaluation = split == "evaluation"
    cases = (evaluation_set if on_evaluation else validation_set)(limit)
    texts = text_evaluation_set() if on_evaluation else text_validation_set()
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    groups = {size: groups_of(len(cases), len(texts), size) for size in edits}
    beside = {text for some in groups.values() for group in some for text in group.texts}
    readings = [
        read(
            model.backbone,
            model.network,
            some,
            cache or cache_folder(),
            text_only=text_only,
            max_new_tokens=max_new_tokens,
            asked=asked,
        )
        for some, text_only, asked in ((cases, False, None), (texts, True, max(beside) + 1))
    ]
    protocol = Protocol(model, *readings, generate=generate, max_new_tokens=max_new_tokens)
    summary: dict[str, Any] = {
        "dataset": "emoji-edit",
        "split": split,
        "method": "liveedit",
        "backbone": model.backbone.name,
        "corrections": len(cases),
        "editor": model.network.config.model_dump(),
        "editing": model.config.model_dump(),
        "seconds_before": round(time.perf_counter() - began, 1),
        "runs": {},
    }
    for size, some_groups in groups.items():
        began = time.perf_counter()
        records = list(protocol.run(some_groups))
        with (folder / f"records-{size}.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
        summary["runs"][str(size)] = {
            "metrics": summarise(records),
            "seconds": round(time.perf_counter() - began, 1),
        }
        _write(summary, folder)
    if later:
        began = time.perf_counter()
        summary["retention"] = retention(protocol, len(cases), later)
        summary["seconds_retention"] = round(time.perf_counter() - began, 1)
        _write(summary, folder)
    return summary


def _write(summary: dict[str, Any], folder: Path) -> None:
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
