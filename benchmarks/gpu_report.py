"""The figures of ``gpu.py`` as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def markdown(found: Mapping[str, Any]) -> str:
    """Tables of everything found so far.

    Args:
        found: What ``gpu.json`` holds.
    """
    models = found["models"].items()
    command = "python benchmarks/gpu.py --out OUT" + (" --tiny" if found["tiny"] else "")
    lines = [
        f"## On {found['device']}",
        "",
        f"`{command}`, {found['date'][:10]}, with torch {found['torch']}, transformers "
        f"{found['transformers']} and liveedit {found['liveedit']}. Models have random weights.",
        "",
        *_table(
            ["model", "parameters", "dtype", "edit layer", "image tokens", "bytes an edit"],
            [
                [
                    name, f"{one['parameters'] / 1e9:.2f} B", one["dtype"],
                    f"{one['edit_layer']} of {one['layers']}", one["image_tokens"],
                    f"{one['bytes_an_edit']:,}",
                ]
                for name, one in models
            ],
        ),
        "Time of the edited over the unedited model's:",
        "",
        *_table(
            ["model", "edits", "batch", "prefill", "decode", "unedited prefill, ms",
             "unedited decode, ms a token", "experts a question"],
            [
                [
                    name, f"{row['edits']:,}", row["batch"], f"{row['prefill']:.3f}",
                    f"{row['decode']:.3f}", f"{row['prefill_ms']:.1f}", f"{row['decode_ms']:.2f}",
                    f"{row['routed']:.1f}",
                ]
                for name, one in models for row in one.get("answers", [])
            ],
        ),
        *(
            f"Of {row['edits_wanted']:,} edits wanted memory sufficed for {row['edits']:,} "
            f"({name}).\n"
            for name, one in models
            for row in one.get("answers", [])[:: 2]
            if row["edits"] < row["edits_wanted"]
        ),
        "One edit:",
        "",
        *_table(
            ["model", "batch", "refinement", "seconds an edit", "steps"],
            [
                [
                    name, row["batch"], "allowed" if row["refined"] else "none",
                    f"{row['seconds']:.3f}", f"{row['steps']:.1f}",
                ]
                for name, one in models for row in one.get("edits", [])
            ],
        ),
        "Training (states: seconds to cache those of one correction, which whole runs include):",
        "",
        *_table(
            ["model", "step", "corrections in it", "seconds", "corrections a second",
             "in a whole run", "states"],
            [row for name, one in models for row in _training(name, one)],
        ),
        "Calibration:",
        "",
        *_table(
            ["model", "pictures", "corrections", "seconds"],
            [
                [
                    name, one["calibration"]["pictures"],
                    f"{one['calibration']['corrections']} + {one['calibration']['validation']}",
                    f"{one['calibration']['seconds']:.1f}",
                ]
                for name, one in models if "calibration" in one
            ],
        ),
        "A store carried over to an editor that refines:",
        "",
        *_table(
            ["model", "corrections", "made", "right already", "not reached", "seconds"],
            [
                [
                    name, row["corrections"], row["made"], row["right"], row["not_reached"],
                    f"{row['seconds']:.1f}",
                ]
                for name, one in models for row in [one.get("rebasing")] if row
            ],
        ),
        "Routing against float32 on the CPU:",
        "",
        *_table(
            ["model", "edits", "decisions", "passes", "agree", "largest difference of weights",
             "agree, features from the CPU", "largest difference of weights"],
            [
                [
                    name, f"{one['agreement']['edits']:,}", f"{one['agreement']['decisions']:,}",
                    f"{one['agreement']['passes']:,}",
                    f"{one['agreement']['routing_percent']:.4f}%",
                    f"{one['agreement']['routing_weight']:.1e}",
                    f"{one['agreement']['extracted_percent']:.4f}%",
                    f"{one['agreement']['extracted_weight']:.1e}",
                ]
                for name, one in models if "agreement" in one
            ],
        ),
        "Phases:",
        "",
        *_table(
            ["model", "phase", "seconds", "peak memory, GB"],
            [
                [
                    phase["model"], phase["phase"], f"{phase['seconds']:.1f}",
                    f"{phase['peak_bytes'] / 1e9:.1f}",
                ]
                for phase in found["phases"]
            ],
        ),
        *(f"- Skipped, time was up: {one['model']}, {one['phase']}." for one in found["skipped"]),
        *(f"- Failed: {one['model']}, {one['phase']}: {one['error']}" for one in found["failed"]),
    ]  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def _training(name: str, one: Mapping[str, Any]) -> list[list[object]]:
    """Rows of both recipes."""
    rows: list[list[object]] = []
    if "ours" in one:
        ours = one["ours"]
        rows += [
            [
                name, f"ours, {part}", ours[f"{part}_batch"], f"{ours[f'{part}_seconds']:.3f}",
                f"{ours[f'{part}_corrections']:.1f}", f"{ours['corrections']:.1f}",
                f"{ours['cache_seconds']:.3f}",
            ]
            for part in ("router", "generator")
        ]  # fmt: skip
    if "published" in one:
        theirs = one["published"]
        rows.append(
            [
                name, "published", f"{theirs['batch']} (routing {theirs['routing_batch']})",
                f"{theirs['seconds']:.3f}", f"{theirs['step_corrections']:.1f}",
                f"{theirs['corrections']:.1f}", f"{theirs['cache_seconds']:.3f}",
            ]
        )  # fmt: skip
    return rows


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A table and an empty line; without rows a word in its place."""
    if not rows:
        return ["(not measured)", ""]
    lines = [head, ["---"] * len(head), *rows]
    return [f"| {' | '.join(map(str, line))} |" for line in lines] + [""]
