"""One benchmark run, from a loaded model to ``summary.json`` and ``records.jsonl``."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from liveedit.benchmark.emoji_edit import evaluation_set, validation_set
from liveedit.benchmark.metrics import summarise
from liveedit.benchmark.protocol import run_protocol
from liveedit.editor import EditedModel


def run_benchmark(
    model: EditedModel, folder: Path, *, edits: int, limit: int | None, split: str = "evaluation"
) -> dict[str, Any]:
    """Run emoji-edit with LiveEdit.

    Args:
        model: A model without edits.
        folder: Where the files go; ``records.jsonl`` grows while the run goes on.
        edits: N, the size of a group.
        limit: How many corrections of the split; all by default.
        split: ``evaluation``, or ``validation`` to choose settings on.

    Returns:
        The summary, as written.
    """
    cases = (evaluation_set if split == "evaluation" else validation_set)(limit)
    folder.mkdir(parents=True, exist_ok=True)
    began = time.perf_counter()
    records = []
    with (folder / "records.jsonl").open("w", encoding="utf-8") as file:
        for record in run_protocol(model, cases, edits=edits):
            records.append(record)
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    summary = {
        "dataset": "emoji-edit",
        "split": split,
        "method": "liveedit",
        "backbone": model.backbone.name,
        "edits": edits,
        "corrections": len(cases),
        "metrics": summarise(records),
        "seconds": round(time.perf_counter() - began, 1),
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    return summary
