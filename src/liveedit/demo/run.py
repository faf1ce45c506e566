"""The main job, five times: wrong answer, correction, right answers, revoked."""

from __future__ import annotations

from liveedit.benchmark.metrics import same_answer
from liveedit.data.emoji_edit.corrections import EditCase, evaluation_set
from liveedit.data.emoji_edit.scene import render
from liveedit.demo.rows import DemoRow
from liveedit.editor import EditedModel

# Places in the evaluation set: questions the pocket VLM gets wrong. What the picture shows is
# taught; where no picture could tell (an owner, a price) the set's target is. They were picked
# among those where the correction works: how often it does, the benchmark tells. There are more
# than are shown, because a processor that rounds otherwise may get one right without correction.
CANDIDATES = (21, 8, 2, 27, 34, 60, 1, 31, 41)
SHOWN = 5


def run_demo(model: EditedModel) -> list[DemoRow]:
    """Make each correction, ask about it and around it, and revoke it; in the end none is left.

    All five are in force while the questions after the corrections are asked. The strict neighbour
    is in turn the same question about another scene, and another question about this one.
    """
    chosen = _wrong_now(model)
    targets = [_wanted(case) for case in chosen]
    seen = [render(case.scene) for case in chosen]
    redrawn = [render(case.scene.redrawn()) for case in chosen]
    others = [
        render(case.strict_scene) if number % 2 == 0 else seen[number]
        for number, case in enumerate(chosen)
    ]
    asked = [case.question.text for case in chosen]
    around = [
        case.question.text if number % 2 == 0 else case.strict_question.text
        for number, case in enumerate(chosen)
    ]
    again = [case.rephrase.text for case in chosen]

    before, neighbour_before = model.generate(seen, asked), model.generate(others, around)
    edits = [
        model.edit(image, prompt, target)
        for image, prompt, target in zip(seen, asked, targets, strict=True)
    ]
    answers = {
        "after": model.generate(seen, asked),
        "rephrased": model.generate(seen, again),
        "other_drawing": model.generate(redrawn, asked),
        "neighbour_after": model.generate(others, around),
    }
    for edit in edits:
        model.revoke(edit.id)
    answers |= {
        "before": before,
        "neighbour_before": neighbour_before,
        "revoked": model.generate(seen, asked),
    }
    return [
        DemoRow(
            family=case.question.family,
            image=seen[row],
            redrawn=redrawn[row],
            neighbour=others[row],
            prompt=asked[row],
            target=targets[row],
            rephrased_prompt=again[row],
            neighbour_prompt=around[row],
            **{name: given[row] for name, given in answers.items()},
        )
        for row, case in enumerate(chosen)
    ]


def _wrong_now(model: EditedModel) -> list[EditCase]:
    """The first candidates, each of another family, that are answered wrongly."""
    cases = evaluation_set(max(CANDIDATES) + 1)
    candidates = [cases[index] for index in CANDIDATES]
    answers = model.generate(
        [render(case.scene) for case in candidates], [case.question.text for case in candidates]
    )
    wrong: dict[str, EditCase] = {}
    for case, answer in zip(candidates, answers, strict=True):
        if not same_answer(answer, _wanted(case)):
            wrong.setdefault(case.question.family, case)
    return list(wrong.values())[:SHOWN]


def _wanted(case: EditCase) -> str:
    return case.truth or case.target
