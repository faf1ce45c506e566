"""One benchmark run, from a loaded model to ``summary.json`` and ``records-N.jsonl``."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from liveedit import __version__
from liveedit.benchmark.checkpointed_run import parts_of, run_parts
from liveedit.benchmark.metrics import HOP_VIEW_OF, METRICS, VIEW_OF, summarise
from liveedit.benchmark.probes import Probes, read_probes
from liveedit.benchmark.protocol import Protocol
from liveedit.benchmark.retention import retention_groups, summarise_retention
from liveedit.benchmark.same_run import refuse_another
from liveedit.benchmark.suite import Suite
from liveedit.data.cached_states import weights_digest
from liveedit.data.views import Case, digest
from liveedit.distributed import every_process, processes
from liveedit.editor import EditedModel
from liveedit.saving.cache_folder import cache_folder
from liveedit.saving.files import write_whole

_PARTS = "parts"
SUMMARY_FILE, SETTINGS_FILE = "summary.json", "run.json"


def run_benchmark(
    model: EditedModel,
    folder: Path,
    suite: Suite,
    *,
    edits: Sequence[int],
    forced: bool = True,
    generate: bool = True,
    metrics: Collection[str] = METRICS,
    later: Sequence[int] = (),
    asked: int | None = None,
    about: dict[str, Any] | None = None,
    cache: Path | None = None,
    max_new_tokens: int | None = None,
) -> dict[str, Any]:
    """Run a suite with the model's method; the same call goes on with what a killed one left.

    Several processes (``accelerate launch``) share the probes.

    Args:
        model: A model without edits.
        folder: Where the files go: ``run.json``, what is run; ``parts/``, finished parts until all
            of an N are there; ``records-N.jsonl``, a line for each probe; ``summary.json``.
        suite: What is asked.
        edits: Every N, the size of a group; Ns that are in the folder are not run again.
        forced: Whether expected answers are predicted under teacher forcing.
        generate: Whether answers are generated.
        metrics: Those that are asked for.
        later: For retention: how many edits come after the first hundred; none for no retention.
        asked: Ask about the first so many corrections alone; by default about all.
        about: What the summary says of the suite, such as its split.
        cache: Where the unedited model's answers and states are kept; in the user's cache folder
            by default.
        max_new_tokens: Longest answer; by default 16, or as many as the longest target has.

    Returns:
        The summary, as written.

    Raises:
        OtherRun: The folder holds a run with other settings.
    """
    longest = max(
        len(model.backbone.target_ids(case.target)) for case in (*suite.pictured, *suite.hops)
    )
    tokens = max_new_tokens or max(16, longest)
    settings = {
        "dataset": suite.name,
        "method": model.method.name,
        "backbone": model.backbone.name,
        **(about or {}),
        "corrections": len(suite.pictured),
        **({} if asked is None else {"asked": asked}),
        **({} if forced else {"teacher_forced": False}),
        "generate": generate,
        **({} if metrics == METRICS else {"metrics": list(metrics)}),
        "max_new_tokens": tokens,
        **model.method.describe(),
        "dtype": model.backbone.precision,
        "version": __version__,
        "digest": digest(
            [*suite.pictured, *suite.texts, *suite.hops],
            weights_digest(model.backbone), model.method.learned,
        ),
    }  # fmt: skip
    summary = _begin(folder, settings)
    every = {size: suite.groups(size, asked) for size in edits if str(size) not in summary["runs"]}
    more = retention_groups(len(suite.pictured), later) if "retention" not in summary else {}
    if not every and not more:
        return summary
    began = time.perf_counter()
    hops = [hop for groups in every.values() for group in groups for hop in group.hops]
    beside = [text for groups in every.values() for group in groups for text in group.texts]

    def reading(cases: Sequence[Case], views: Mapping[str, str], first: int | None) -> Probes:
        where = cache or cache_folder()
        return read_probes(
            model.backbone, cases, where,
            views=views, max_new_tokens=tokens, asked=first,
        )  # fmt: skip

    protocol = Protocol(
        model,
        reading(suite.pictured, VIEW_OF, None if more else asked),
        reading(suite.texts, suite.text_views, max(beside) + 1) if beside else None,
        reading(suite.hops, HOP_VIEW_OF, max(hops) + 1) if hops else None,
        forced=forced,
        generate=generate,
        max_new_tokens=tokens,
        metrics=metrics,
    )
    summary["seconds_before"] += round(time.perf_counter() - began, 1)
    for size, groups in every.items():
        parts = parts_of(groups, str(size))
        ran = run_parts(protocol, parts, folder / _PARTS, f"N = {size}")
        summary["runs"][str(size)] = {
            "metrics": summarise(ran.records),
            "seconds": round(ran.seconds, 1),
            "corrections_per_second": round(
                sum(len(one.edited) for one in groups) / ran.seconds, 3
            ),
            **ran.editing,
        }
        summary["runs"] = dict(sorted(summary["runs"].items(), key=lambda run: int(run[0])))
        if processes().is_main_process:
            lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in ran.records)
            write_whole(folder / f"records-{size}.jsonl", "".join(lines))
            write_whole(folder / SUMMARY_FILE, json.dumps(summary, indent=2) + "\n")
    if more:
        parts = parts_of(list(more.values()), "retention")
        ran = run_parts(protocol, parts, folder / _PARTS, "retention")
        summary["retention"] = summarise_retention(ran.records, list(more))
        summary["seconds_retention"] = round(ran.seconds, 1)
        if processes().is_main_process:
            write_whole(folder / SUMMARY_FILE, json.dumps(summary, indent=2) + "\n")
    every_process()  # all have read the parts
    if processes().is_main_process:
        shutil.rmtree(folder / _PARTS, ignore_errors=True)
    return summary


def _begin(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The summary so far, if the folder holds one of a run with these settings."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SETTINGS_FILE
    if path.exists():
        there = json.loads(path.read_text(encoding="utf-8"))
        refuse_another(folder, there, settings, kept=SETTINGS_FILE)
        if (folder / SUMMARY_FILE).exists():
            found: dict[str, Any] = json.loads((folder / SUMMARY_FILE).read_text(encoding="utf-8"))
            return found
    elif processes().is_main_process:
        write_whole(path, json.dumps(settings, indent=2) + "\n")
    return {**settings, "seconds_before": 0.0, "runs": {}}
