"""Every metric over the number of edits in force, as a picture with a panel for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from svg import DOT, plotting, svg_of

from liveedit.benchmark.metrics import OBJECTIVE
from liveedit.benchmark.report.labels import label

# the first has the page's own colour; these are told apart on light and on dark pages
_COLOURS = (
    DOT, "#d1495b", "#4f9d69", "#b07d2b", "#8e6bbf", "#3a9fb0", "#c06c9c", "#7d8b3c", "#6f7f8f",
    "#e07a3f", "#5b74c9", "#a65a4a", "#2f8f7f",
)  # fmt: skip
_MARKS = "os^Dv<>pPX*hd"
Curve = Mapping[int, Mapping[str, float]]  # N, metric: exact match, per cent


def curves_of(curves: Mapping[str, Curve], name: str, metrics: Sequence[str] = OBJECTIVE) -> str:
    """An SVG of exact match over N.

    Args:
        curves: By name, the first of them in the page's colour.
        name: Of the picture; tells its parts from those of others on the page.
        metrics: A panel for each.
    """
    with plotting(name) as pyplot:
        figure, panels = pyplot.subplots(
            -(-len(metrics) // 3), 3, figsize=(9.6, 5.6), sharex=True, sharey=True, squeeze=False
        )
        for axes, metric in zip(panels.flat, metrics, strict=True):
            for at, (method, curve) in enumerate(curves.items()):
                known = {n: found[metric] for n, found in sorted(curve.items()) if metric in found}
                axes.plot(
                    list(known), list(known.values()), color=_COLOURS[at % len(_COLOURS)],
                    marker=_MARKS[at % len(_MARKS)], markersize=4.5, linewidth=1.6, label=method,
                )  # fmt: skip
            axes.set_title(label(metric), fontsize=11, loc="left")
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:,g}")
        figure.supxlabel("edits in force", fontsize=11)
        figure.supylabel("exact match, %", fontsize=11)
        lines, names = panels.flat[0].get_legend_handles_labels()
        figure.legend(
            lines, names, loc="upper center", bbox_to_anchor=(0.5, -0.01), ncols=min(len(names), 7)
        )
        figure.tight_layout()
        told = "; ".join(
            f"{method}: "
            + ", ".join(
                f"{label(metric)} " + " ".join(f"{curve[n][metric]:.1f}" for n in sorted(curve))
                for metric in metrics
            )
            + f" at N = {', '.join(f'{n:,}' for n in sorted(curve))}"
            for method, curve in curves.items()
        )
        return svg_of(figure, f"Exact match over edits in force. {told}")
