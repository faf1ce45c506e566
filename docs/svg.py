"""Plots as SVG whose colours are the page's own, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

# put in the place of colours that matplotlib draws with
INK, SOFT, DOT = "#010203", "#040506", "#070809"
_VARIABLES = {
    INK: "var(--color-foreground-primary)",
    SOFT: "var(--color-background-border)",
    DOT: "var(--color-brand-primary)",
}


@contextmanager
def plotting(name: str) -> Iterator[Any]:
    """Within this context ``pyplot``, which is given, draws for the page.

    Args:
        name: Of the picture; tells its parts from those of others on the page.
    """
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    style = {
        "svg.hashsalt": name, "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 11,
        "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": SOFT, "xtick.color": INK,
        "ytick.color": INK, "grid.color": SOFT, "axes.spines.top": False,
        "axes.spines.right": False, "axes.axisbelow": True, "axes.grid": True,
        "grid.linewidth": 0.6, "legend.frameon": False, "axes.titlecolor": INK,
    }  # fmt: skip
    with pyplot.rc_context(style):
        yield pyplot


def svg_of(figure: Any, told: str) -> str:
    """A drawn figure; it is as wide as there is room.

    Args:
        figure: Of matplotlib; it is closed.
        told: What it shows, for whoever cannot see it.
    """
    from matplotlib import pyplot

    written = io.StringIO()
    figure.savefig(
        written, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None}
    )
    pyplot.close(figure)
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :]
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    for side in ("width", "height"):
        svg = re.sub(rf'(<svg[^>]*?) {side}="[^"]*"', r"\1", svg, count=1, flags=re.DOTALL)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(told, quote=True)}"', 1)
