"""Quality against cost, as a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from svg import DOT, INK, SOFT, plotting, svg_of


def picture_of(
    points: Sequence[tuple[str, float | None, Mapping[str, Any]]], name: str
) -> str | None:
    """An SVG: mean exact match over seconds an edit; the area of a dot is what an edit takes.

    Args:
        points: Name, quality in per cent and cost of each method.
        name: Of the picture; tells its parts from those of others on the page.

    Returns:
        None if there are fewer than two methods whose quality and cost are known.
    """
    known = [
        (label, quality, cost["seconds_per_edit"], cost.get("bytes_per_edit", 0))
        for label, quality, cost in points
        if quality is not None and cost.get("seconds_per_edit")
    ]
    if len(known) < 2:
        return None
    with plotting(name) as pyplot:
        from adjustText import adjust_text
        from matplotlib.ticker import LogLocator

        figure, axes = pyplot.subplots(figsize=(7.2, 4.4))
        axes.set_xscale("log")
        _, quality, seconds, size = zip(*known, strict=True)
        areas = [30 + 25 * math.log10(1 + one / 1e3) ** 2 for one in size]
        dots = axes.scatter(seconds, quality, s=areas, color=DOT, alpha=0.75, linewidths=0)
        texts = [axes.text(at, high, one, color=INK) for one, high, at, _ in known]
        axes.margins(x=0.18, y=0.12)
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.set_xlabel("seconds an edit")
        axes.set_ylabel("mean exact match, %")
        lines = {"arrowstyle": "-", "color": SOFT, "lw": 0.8}
        adjust_text(texts, ax=axes, objects=dots, expand=(1.2, 1.7), arrowprops=lines)
        told = "; ".join(f"{label}: {quality:.1f}% at {s:.3g} s" for label, quality, s, _ in known)
        return svg_of(figure, f"Quality over cost. {told}")
