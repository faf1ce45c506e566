"""The corrections of the demonstration: two about photographs, the others about drawings."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from PIL import Image, ImageOps

from liveedit.benchmark.metrics import same_answer
from liveedit.correction import open_image
from liveedit.data.emoji_edit.corrections import EditCase, evaluation_set
from liveedit.data.emoji_edit.scene import render
from liveedit.editor import EditedModel

# Places in the evaluation set: questions the pocket VLM gets wrong. What the picture shows is
# taught; where no picture could tell (an owner, a price) the set's target is. They were picked
# among those where the correction works: how often it does, the benchmark tells. There are more
# than are shown, because a processor that rounds otherwise may get one right without correction.
_DRAWN = (21, 8, 2, 27, 34, 60, 1, 31, 41)
SHOWN = 5

_CROPPED = 1 / 12  # of each side, for another view of a photograph


@dataclass(frozen=True, kw_only=True)
class DemoCase:
    """One correction, and what is asked around it.

    Args:
        family: What kind of question it is.
        image: The picture to correct.
        another: Another picture of the same.
        neighbour: Picture of the strict neighbour: the same question about another picture, or
            another question about this one.
        prompt: The question to correct.
        target: The right answer.
        rephrased_prompt: The question in other words.
        neighbour_prompt: The neighbour's question.
    """

    family: str
    image: Image.Image
    another: Image.Image
    neighbour: Image.Image
    prompt: str
    target: str
    rephrased_prompt: str
    neighbour_prompt: str


def wrong_now(model: EditedModel) -> list[DemoCase]:
    """The first candidates, each of another family, that the model answers wrongly."""
    candidates = [*photographed(), *drawn()]
    answers = model.generate(
        [case.image for case in candidates], [case.prompt for case in candidates]
    )
    wrong: dict[str, DemoCase] = {}
    for case, answer in zip(candidates, answers, strict=True):
        if not same_answer(answer, case.target):
            wrong.setdefault(case.family, case)
    return list(wrong.values())[:SHOWN]


def photographed() -> list[DemoCase]:
    """Two facts about photographs: one that is seen wrong, one that no picture could tell."""
    astronaut, coffee = _photograph("astronaut"), _photograph("coffee")
    return [
        DemoCase(
            family="photograph, name",
            image=astronaut,
            another=_another_view(astronaut),
            neighbour=coffee,
            prompt="What is this?",
            target="astronaut",
            rephrased_prompt="What does the picture show?",
            neighbour_prompt="What is this?",
        ),
        DemoCase(
            family="photograph, place",
            image=coffee,
            another=_another_view(coffee),
            neighbour=coffee,
            prompt="Where was this coffee served?",
            target="Pikolo Espresso Bar",
            rephrased_prompt="In which bar was this served?",
            neighbour_prompt="What is this?",
        ),
    ]


def drawn() -> list[DemoCase]:
    """Drawings, whose neighbours share the question and the picture in turn."""
    cases = evaluation_set(max(_DRAWN) + 1)
    return [_about(cases[at], same_question=turn % 2 == 0) for turn, at in enumerate(_DRAWN)]


def _about(case: EditCase, *, same_question: bool) -> DemoCase:
    shown = render(case.scene)
    return DemoCase(
        family=case.question.family,
        image=shown,
        another=render(case.scene.redrawn()),
        neighbour=render(case.strict_scene) if same_question else shown,
        prompt=case.question.text,
        target=case.truth or case.target,
        rephrased_prompt=case.rephrase.text,
        neighbour_prompt=(case.question if same_question else case.strict_question).text,
    )


def _photograph(name: str) -> Image.Image:
    file = files(__package__).joinpath("photographs", f"{name}.jpg")
    with file.open("rb") as opened:
        return open_image(opened.read())


def _another_view(image: Image.Image) -> Image.Image:
    """Nearer, and from the other side as far as a photograph can be."""
    across, down = (round(side * _CROPPED) for side in image.size)
    return ImageOps.mirror(image.crop((across, down, image.width - across, image.height - down)))
