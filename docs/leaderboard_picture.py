"""Quality against cost, as a picture that is light or dark as the page is."""

from __future__ import annotations

import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

# put in the place of colours that matplotlib draws with
_INK, _SOFT, _DOT = "#010203", "#040506", "#070809"
_VARIABLES = {
    _INK: "var(--color-foreground-primary)",
    _SOFT: "var(--color-background-border)",
    _DOT: "var(--color-brand-primary)",
}


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
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    style = {
        "svg.hashsalt": name, "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 11,
        "text.color": _INK, "axes.labelcolor": _INK, "axes.edgecolor": _SOFT, "xtick.color": _INK,
        "ytick.color": _INK, "grid.color": _SOFT,
    }  # fmt: skip
    with pyplot.rc_context(style):
        figure, axes = pyplot.subplots(figsize=(7.2, 4.4))
        axes.set_xscale("log")
        axes.grid(linewidth=0.6)
        axes.set_axisbelow(True)
        for label, quality, seconds, size in known:
            area = 30 + 25 * math.log10(1 + size / 1e3) ** 2
            axes.scatter([seconds], [quality], s=area, color=_DOT, alpha=0.75, linewidths=0)
            axes.annotate(
                label, (seconds, quality), xytext=(8, 5), textcoords="offset points", color=_INK
            )
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        axes.margins(x=0.18, y=0.12)
        axes.xaxis.set_major_formatter("{x:g}")
        axes.set_xlabel("seconds an edit")
        axes.set_ylabel("mean exact match, %")
        written = io.StringIO()
        figure.savefig(
            written, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None}
        )
        pyplot.close(figure)
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1, flags=re.DOTALL)
    told = "; ".join(f"{label}: {quality:.1f}% at {s:.3g} s" for label, quality, s, _ in known)
    return svg.replace("<svg", f'<svg role="img" aria-label="Quality over cost. {told}"', 1)
