"""What every correction is tested on, by metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from PIL import Image

from liveedit.benchmark.emoji_edit import EditCase
from liveedit.scenes.scene import render

Metric = Literal["rel", "t_gen", "m_gen", "t_loc", "m_loc", "ri", "ci", "ni"]
METRICS: tuple[Metric, ...] = get_args(Metric)
# for these the edit's target is wanted; for the others the unedited model's own answer
WANT_TARGET: tuple[Metric, ...] = ("rel", "t_gen", "m_gen")


@dataclass(frozen=True, kw_only=True)
class Probe:
    """One question to the edited model.

    Args:
        metric: What it measures.
        case: Index of the correction it belongs to.
        image: The picture, None for a text-only question.
        prompt: The question.
        target: The wanted answer, None if the unedited model's own is wanted.
    """

    metric: Metric
    case: int
    image: Image.Image | None
    prompt: str
    target: str | None


def probes_of(cases: Sequence[EditCase]) -> list[Probe]:
    """The probes of some corrections, metric after metric."""
    seen = [render(case.scene) for case in cases]
    redrawn = [render(case.scene.redrawn()) for case in cases]
    other = [render(case.other_scene) for case in cases]
    strict = [render(case.strict_scene) for case in cases]
    nothing = [None] * len(cases)
    asked = [case.question.text for case in cases]
    rows: dict[Metric, tuple[Sequence[Image.Image | None], Sequence[str]]] = {
        "rel": (seen, asked),
        "t_gen": (seen, [case.rephrase.text for case in cases]),
        "m_gen": (redrawn, asked),
        "t_loc": (nothing, [case.fact.question for case in cases]),
        "m_loc": (other, [case.other_question.text for case in cases]),
        "ri": (strict, asked),
        "ci": (seen, [case.strict_question.text for case in cases]),
        "ni": (nothing, asked),
    }
    return [
        Probe(
            metric=metric,
            case=case.index,
            image=image,
            prompt=prompt,
            target=case.target if metric in WANT_TARGET else None,
        )
        for metric, (images, prompts) in rows.items()
        for case, image, prompt in zip(cases, images, prompts, strict=True)
    ]
