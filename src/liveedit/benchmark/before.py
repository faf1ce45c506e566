"""What the unedited model says, kept on disk: the same for every method and every N."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.benchmark.states import weights_digest
from liveedit.benchmark.views import Case, views_of

_SHARD = 128
_BATCH = 32


def answers_before(
    backbone: Backbone,
    cases: Sequence[Case],
    names: Sequence[str],
    folder: Path,
    *,
    max_new_tokens: int,
) -> list[list[str]]:
    """Freely generated (greedy) answers of the unedited model; those on disk are not made again.

    Args:
        backbone: The model.
        cases: The corrections.
        names: Views of each that are asked.
        folder: Where ``DIGEST.json`` are kept, one for some corrections; a kill loses one at most.
        max_new_tokens: Longest answer.

    Returns:
        For each correction the answer to each view.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = weights_digest(backbone)
    found: list[list[str]] = []
    texts: dict[str, str] = {}  # answers to questions without a picture, which recur
    with tqdm(total=len(cases), desc="before", unit="correction", leave=False) as bar:
        for start in range(0, len(cases), _SHARD):
            some = cases[start : start + _SHARD]
            described = [weights, list(names), max_new_tokens, [asdict(case) for case in some]]
            digest = hashlib.blake2b(json.dumps(described).encode(), digest_size=16).hexdigest()
            path = folder / f"{digest}.json"
            if not path.exists():
                answers = _ask(backbone, some, names, texts, max_new_tokens)
                part = path.with_suffix(".part")
                part.write_text(json.dumps(answers), encoding="utf-8")
                part.replace(path)
            found += json.loads(path.read_text(encoding="utf-8"))
            bar.update(len(some))
    return found


def _ask(
    backbone: Backbone,
    cases: Sequence[Case],
    names: Sequence[str],
    texts: dict[str, str],
    max_new_tokens: int,
) -> list[list[str]]:
    asked = [view for case in cases for view in views_of(case, names)]
    fresh = dict.fromkeys(text for image, text in asked if image is None and text not in texts)
    todo = [*((None, text) for text in fresh), *(view for view in asked if view[0] is not None)]
    answers: list[str] = []
    for start in range(0, len(todo), _BATCH):
        images, questions = zip(*todo[start : start + _BATCH], strict=True)
        query = backbone.query(images, questions)
        answers += [
            answer.strip() for answer in backbone.generate(query, max_new_tokens=max_new_tokens)
        ]
    texts.update(zip(fresh, answers, strict=False))
    seen = iter(answers[len(fresh) :])
    flat = [texts[text] if image is None else next(seen) for image, text in asked]
    return [flat[at : at + len(names)] for at in range(0, len(flat), len(names))]
