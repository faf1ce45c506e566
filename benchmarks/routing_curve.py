"""Recall of the right edit against false fire, over the hard filter's margin.

    python benchmarks/routing_curve.py [--edits 1000] [--plot docs/routing-curve.png] [--json]

All edits are in force at once. Recall: an edit's expert gets a weight of at least 0.5 for the
correction (Rel), its question in other words (T-Gen), its picture by the other artist (M-Gen).
False fire: any expert gets that for another question about another picture (M-Loc), the question
about another picture (RI), another question about the picture (CI). The shipped margin was chosen
on the validation corrections, 100 in force at a time; the curve is that of the evaluation.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from liveedit import EditedModel
from liveedit.data.cached_states import cache_views
from liveedit.data.emoji_edit.corrections import evaluation_set
from liveedit.saving.cache_folder import cache_folder
from liveedit.training.calibration import MARGINS, compare, fired

_METRICS = {
    "edit": "Rel", "rephrase": "T-Gen", "redrawn": "M-Gen",
    "other image": "RI", "other question": "CI", "elsewhere": "M-Loc",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket", help="pocket, or a folder")
    parser.add_argument("--editor", default=None, help="folder that liveedit train wrote")
    parser.add_argument("--edits", type=int, default=1000, help="edits in force")
    parser.add_argument("--plot", type=Path, default=None, help="where to draw the curve (PNG)")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    model = EditedModel.from_pretrained(options.model, editor=options.editor)
    views = cache_views(
        model.backbone,
        evaluation_set(options.edits),
        cache_folder() / "states",
        names=tuple(_METRICS),
    )
    alike = compare(model.backbone, model.method.network, views)
    router = model.method.network.router
    offset = router.crowding * math.log(options.edits)
    router.margin += offset  # the whole margin at this number of edits
    router.crowding.zero_()
    curve = fired(router, router.margin, alike, MARGINS, group=options.edits)
    shares = {
        _METRICS[name]: [round(100 * share, 2) for share in curve[:, view].tolist()]
        for view, name in enumerate(views.names)
    }
    shipped = int((MARGINS - router.margin).abs().argmin())
    if options.plot:
        draw(shares, shipped, len(views), options.plot)
    if options.json:
        found = {"edits": len(views), "margins": MARGINS.tolist(), "percent": shares}
        print(json.dumps({**found, "shipped": MARGINS[shipped].item()}))
        return
    print("margin " + " ".join(f"{name:>7}" for name in shares))
    for index in range(16, 49, 2):
        row = " ".join(f"{percents[index]:7.1f}" for percents in shares.values())
        print(f"{MARGINS[index]:6.2f} {row}" + ("  (shipped)" if index == shipped else ""))


def draw(shares: dict[str, list[float]], shipped: int, edits: int, path: Path) -> None:
    """Recall over false fire, one line for each pair of interest, the shipped margin marked."""
    from matplotlib import pyplot

    # far below, so many experts share the weight that none reaches a half
    first = int((MARGINS < -2).sum())
    figure, sides = pyplot.subplots(1, 3, figsize=(11, 3.8), sharey=True, layout="constrained")
    for side, false in zip(sides, ("RI", "CI", "M-Loc"), strict=True):
        for recall, colour in (("Rel", "#1b5e4b"), ("T-Gen", "#c2410c"), ("M-Gen", "#1d4ed8")):
            side.plot(shares[false][first:], shares[recall][first:], color=colour, label=recall)
            side.plot(shares[false][shipped], shares[recall][shipped], "o", color=colour)
        side.set(xlabel=f"{false}: an edit fires (%)", xlim=(-0.5, 25), ylim=(60, 101))
        side.grid(alpha=0.3)
    sides[0].set_ylabel("the right edit fires (%)")
    sides[0].legend(loc="lower right", frameon=False)
    figure.suptitle(f"Hard filter's margin, {edits} edits in force; dots: the shipped margin")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
