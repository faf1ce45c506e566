"""What the unedited model says, kept on disk: the same for every method and every N."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.data.cached_states import weights_digest
from liveedit.data.views import Case, digest, views_of
from liveedit.distributed import every_process, processes
from liveedit.saving.files import write_whole

_SHARD = 128
_BATCH = 32


def base_answers(
    backbone: Backbone,
    cases: Sequence[Case],
    names: Sequence[str],
    folder: Path,
    *,
    max_new_tokens: int,
) -> list[list[str]]:
    """Freely generated (greedy) answers of the unedited model; those on disk are not made again.

    Several processes share the work.

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
    texts: dict[str, str] = {}  # answers to questions without a picture, which recur
    shards = [cases[start : start + _SHARD] for start in range(0, len(cases), _SHARD)]
    paths = [
        folder / f"{digest(some, weights, list(names), max_new_tokens)}.json" for some in shards
    ]
    mine = range(processes().process_index, len(shards), processes().num_processes)
    with tqdm(
        total=sum(len(shards[index]) for index in mine),
        desc="before",
        unit="correction",
        leave=False,
        disable=not processes().is_main_process,
    ) as bar:
        for index in mine:
            if not paths[index].exists():
                answers = _ask(backbone, shards[index], names, texts, max_new_tokens)
                write_whole(paths[index], json.dumps(answers))
            bar.update(len(shards[index]))
    every_process()
    return [row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))]


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
