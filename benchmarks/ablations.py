"""Each loss and each switch off in turn: what it is good for, at 1,000 edits.

    python benchmarks/ablations.py --out runs/ablations [--json]

All rows are trained by one recipe, shorter than the shipped one and the same for all, so they are
to be compared with the row `all on` and not with the shipped editor. A row whose name is that of a
loss has that loss's weight at zero. What only concerns the router keeps the generator of `all on`,
and the other way round. The margins of every row are chosen anew on the validation corrections.

Measured on the evaluation corrections: the first 1,000 in force at once, the first of them asked
about, teacher-forced. A row that is there already is not made again.
"""

from __future__ import annotations

import argparse
import json
import logging
from pathlib import Path
from typing import Any

from liveedit.backbones.base import Backbone
from liveedit.backbones.registry import load_backbone
from liveedit.benchmark.metrics import METRICS, TEXT_VIEW_OF, VIEW_OF, summarise
from liveedit.benchmark.probes import read_probes
from liveedit.benchmark.protocol import Protocol
from liveedit.benchmark.suite import Group
from liveedit.data.emoji_edit.corrections import evaluation_set
from liveedit.data.emoji_edit.knowledge import text_evaluation_set
from liveedit.editor import EditedModel
from liveedit.methods.liveedit.checkpoint import load_editor
from liveedit.methods.liveedit.config import EditorConfig, LiveEditConfig
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.saving.cache_folder import cache_folder
from liveedit.training.editor import EXPERT_LOSSES, ROUTING_LOSSES, EditorTraining, train_editor
from liveedit.training.loop import LoopConfig

_EDITS, _TEXTS = 1000, 100

_RECIPE = EditorTraining(
    corrections=2240,
    text_corrections=640,
    router=LoopConfig(steps=150, learning_rate=1e-3),
    generator=LoopConfig(steps=60, learning_rate=5e-4),
)
# what differs from `all on`: in the training, in the architecture, in the making of edits
_ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "all on": ({}, {}, {}),
    "refine": ({}, {}, {"refine_steps": 0}),
    "supersede": ({}, {}, {"supersede": "never"}),
    "strict_scope": ({"strict_scope": False, "strict": 0.0}, {}, {}),
    **{loss: ({loss: 0.0}, {}, {}) for loss in (*ROUTING_LOSSES, *EXPERT_LOSSES)},
    **{
        switch: ({}, {switch: False}, {})
        for switch in (
            "prompt_filter",
            "joint_relative",
            "hard_routing",
            "soft_routing",
            "prompt_guided",
            "shared_extractor",
            "text_router",
        )
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder, one sub-folder a row")
    parser.add_argument("--rows", nargs="*", default=[*_ROWS], choices=[*_ROWS], metavar="ROW")
    parser.add_argument("--asked", type=int, default=200, help="corrections asked about")
    parser.add_argument("--states", type=Path, default=cache_folder() / "states", help="a cache")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    backbone = load_backbone("pocket")
    found = {}
    for row in options.rows:
        path = options.out / row.replace(" ", "-") / "metrics.json"
        if not path.exists():
            metrics = _measure(backbone, row, options)
            path.write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
        found[row] = json.loads(path.read_text(encoding="utf-8"))
        _print(row, found[row], header=len(found) == 1)
    if options.json:
        print(json.dumps(found))


def _measure(backbone: Backbone, row: str, options: argparse.Namespace) -> dict[str, Any]:
    training, architecture, making = _ROWS[row]
    out, asked = options.out, options.asked
    folder = out / row.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    editor = out / "all-on" / "editor"
    if row == "all on" or training or architecture:
        config = _RECIPE.model_copy(update={**training, "editor": EditorConfig(**architecture)})
        _start_from_all_on(row, out, folder)
        editor = train_editor(backbone, folder, config, states=options.states)
    network = load_editor(editor, backbone.fingerprint())
    model = EditedModel(LiveEdit(backbone, network, LiveEditConfig(**making)))
    cases, texts = evaluation_set(_EDITS), text_evaluation_set()
    readings = [
        read_probes(
            backbone, some, cache_folder(), views=views, max_new_tokens=16, asked=count
        )
        for some, views, count in ((cases, VIEW_OF, asked), (texts, TEXT_VIEW_OF, _TEXTS))
    ]  # fmt: skip
    group = Group(edited=range(_EDITS), texts=range(_TEXTS), asked=range(asked))
    return summarise(list(Protocol(model, *readings, generate=False).run([group])))


def _start_from_all_on(row: str, out: Path, folder: Path) -> None:
    """Keep the part that the row does not concern as trained for `all on`."""
    kept = {"router": row in EXPERT_LOSSES, "generator": row not in EXPERT_LOSSES}
    for part, keep in kept.items():
        trained = out / "all-on" / part / "checkpoint.safetensors"
        if keep and row != "all on":
            (folder / part).mkdir(exist_ok=True)
            (folder / part / trained.name).write_bytes(trained.read_bytes())


def _print(row: str, metrics: dict[str, Any], *, header: bool) -> None:
    if header:
        print(f"{'off':18}" + "".join(f"{name:>12}" for name in METRICS))
    cells = (
        f"{metrics[name]['accuracy']:12.1f}" if name in metrics else f"{'':12}" for name in METRICS
    )
    print(f"{row:18}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
