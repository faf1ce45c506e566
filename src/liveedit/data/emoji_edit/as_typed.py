"""How people type: in lower case, without a full stop, with a slip of the finger."""

from __future__ import annotations

import re

import numpy as np

_ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm")
_BESIDE = {
    key: row[max(0, at - 1) : at] + row[at + 1 : at + 2]
    for row in _ROWS
    for at, key in enumerate(row)
}
_SLIPS = 0.35  # of the sentences have one, a quarter of these two


def as_typed(text: str, random: np.random.Generator, *, keep: str = "") -> str:
    """The same sentence as it might have been typed.

    Args:
        text: A sentence.
        random: What to draw from.
        keep: A part that is left as it is: the name of a thing.
    """
    if random.random() < 0.5:
        text = " ".join(word if word in keep else word.lower() for word in text.split(" "))
    if random.random() < 0.4:
        text = text.rstrip(".?! ")
    if random.random() < _SLIPS:
        for _ in range(1 + (random.random() < 0.25)):
            text = _slip(text, random, keep)
    return text


def _slip(text: str, random: np.random.Generator, keep: str) -> str:
    """One letter too many or too few, two changed over, or the key beside it."""
    kept = text.find(keep) if keep else -1
    spots = [
        found.start()
        for found in re.finditer(r"[a-z](?=[a-z])", text)
        if not kept <= found.start() < kept + len(keep)
        and not kept <= found.start() + 1 < kept + len(keep)
    ]
    if not spots:
        return text
    at = spots[random.integers(len(spots))]
    here, following = text[at], text[at + 1]
    beside = _BESIDE[here]
    instead = (
        following + here,
        following,
        here + here + following,
        beside[random.integers(len(beside))] + following,
    )[random.integers(4)]
    return text[:at] + instead + text[at + 2 :]
