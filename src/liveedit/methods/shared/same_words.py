"""Whether two questions are the same but for case, blanks and punctuation, by a key of their words.

For methods that have no feature of what a question means: other words are another question.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import torch

from liveedit.methods.conflicts import Likeness
from liveedit.store.tensors import Keys

WORDS = "words"  # name of the key
BITS = 64
_SAME = 0.99  # two keys that differ in a single bit have a cosine of 0.97


def keys_of_words(prompts: Sequence[str], sees: Sequence[bool]) -> Keys:
    """Bits of a hash of each question's words, as signs.

    Args:
        prompts: The questions.
        sees: Which have a picture.
    """
    rows = []
    for prompt in prompts:
        words = " ".join(re.findall(r"\w+", prompt.casefold()))
        bits = int.from_bytes(hashlib.sha256(words.encode()).digest()[: BITS // 8], "big")
        rows.append([1.0 if bits >> at & 1 else -1.0 for at in range(BITS)])
    return Keys(vectors={WORDS: torch.tensor(rows)}, sees=torch.tensor(list(sees)))


def same_words(some: Keys, others: Keys) -> Likeness:
    """Corrections that ask the same; none is merely alike."""
    cosines = some.vectors[WORDS] @ others.vectors[WORDS].T / BITS
    asked = (cosines > _SAME) & (some.sees[:, None] == others.sees)
    return Likeness(similarity=cosines, alike=torch.zeros_like(asked), asked=asked)
