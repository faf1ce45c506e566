"""General ability: what many edits in force leave of a model's other skills."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from liveedit.benchmark.metrics import bootstrap, same_answer
from liveedit.benchmark.suite import Suite
from liveedit.correction import Correction
from liveedit.data.views import views_of
from liveedit.editor import EditedModel

_BATCH = 64


@dataclass(frozen=True, kw_only=True)
class Skill:
    """Questions that no correction is about.

    Args:
        questions: Each with its picture or None.
        answers: Right answers; None where only agreement with the unedited model is measured.
        max_new_tokens: Longest answer.
    """

    questions: Sequence[tuple[Image.Image | None, str]]
    answers: Sequence[str] | None
    max_new_tokens: int


def measure_general(
    model: EditedModel,
    suite: Suite,
    skills: Mapping[str, Skill],
    *,
    edits: int,
    tasks: Callable[[EditedModel], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Ask everything without edits, make the edits, and ask everything again.

    Args:
        model: A model without edits; has them afterwards.
        suite: Whose first corrections are made, and a tenth as many text-only ones.
        skills: What is asked, by name.
        edits: How many.
        tasks: What else is measured before and after, such as tasks of lmms-eval.

    Returns:
        What was asked: ``method``, its settings, ``backbone``, ``dtype``; ``edits`` of ``dataset``
        and ``texts`` in force; ``before`` and ``after``: for each skill with right
        answers ``right``, ``n``, ``percent`` and ``interval`` (bootstrap, 95%); ``unchanged``: for
        each skill the same of answers that are word for word those of the unedited model;
        ``tasks_before`` and ``tasks_after``: what ``tasks`` gives.
    """
    measured = {"tasks_before": tasks(model)} if tasks else {}
    before = {name: _ask(model, skill, f"{name}, before") for name, skill in skills.items()}
    group = suite.groups(edits)[0]
    chosen = [suite.pictured[at] for at in group.edited]
    chosen += [suite.texts[at] for at in group.texts if model.method.abilities.text_only]
    corrections = []
    for case in chosen:
        image, prompt = views_of(case, ("edit",))[0]
        corrections.append(Correction(image=image, prompt=prompt, target=case.target))
    model.edit_many(corrections, keep=True, progress=True)
    after = {name: _ask(model, skill, f"{name}, after") for name, skill in skills.items()}
    if tasks:
        measured["tasks_after"] = tasks(model)

    def rightly(given: Mapping[str, list[str]]) -> dict[str, Any]:
        return {
            name: _figure([same_answer(a, b) for a, b in zip(given[name], right, strict=True)])
            for name, skill in skills.items()
            if (right := skill.answers) is not None
        }

    return {
        "method": model.method.name,
        "backbone": model.backbone.name,
        "dataset": suite.name,
        **model.method.describe(),
        "dtype": model.backbone.precision,
        "edits": len(group.edited),
        "texts": len(chosen) - len(group.edited),
        "before": rightly(before),
        "after": rightly(after),
        "unchanged": {
            name: _figure([a == b for a, b in zip(before[name], after[name], strict=True)])
            for name in skills
        },
        **measured,
    }


def _ask(model: EditedModel, skill: Skill, title: str) -> list[str]:
    answers: list[str] = []
    starts = range(0, len(skill.questions), _BATCH)
    for start in tqdm(starts, desc=title, unit="batch"):
        images, prompts = zip(*skill.questions[start : start + _BATCH], strict=True)
        answers += model.generate(images, prompts, max_new_tokens=skill.max_new_tokens)
    return answers


def _figure(right: Sequence[bool]) -> dict[str, Any]:
    low, high = bootstrap(np.array(right, dtype=float))
    return {
        "right": sum(right),
        "n": len(right),
        "percent": round(100 * sum(right) / len(right), 2),
        "interval": [round(100 * low, 2), round(100 * high, 2)],
    }
