"""The main job, five times: wrong answer, correction, right answers, revoked."""

from __future__ import annotations

from dataclasses import fields

from liveedit.demo.cases import DemoCase, wrong_now
from liveedit.demo.rows import DemoRow
from liveedit.editor import EditedModel


def run_demo(model: EditedModel) -> list[DemoRow]:
    """Make each correction, ask about it and around it, and revoke it; in the end none is left.

    All five are in force while the questions after the corrections are asked.
    """
    chosen = wrong_now(model)
    seen, others = [case.image for case in chosen], [case.neighbour for case in chosen]
    asked = [case.prompt for case in chosen]
    around = [case.neighbour_prompt for case in chosen]

    before, neighbour_before = model.generate(seen, asked), model.generate(others, around)
    edits = [model.edit(case.image, case.prompt, case.target) for case in chosen]
    answers = {
        "after": model.generate(seen, asked),
        "rephrased": model.generate(seen, [case.rephrased_prompt for case in chosen]),
        "about_another": model.generate([case.another for case in chosen], asked),
        "neighbour_after": model.generate(others, around),
    }
    for edit in edits:
        model.revoke(edit.id)
    answers |= {
        "before": before,
        "neighbour_before": neighbour_before,
        "revoked": model.generate(seen, asked),
    }
    stated = [field.name for field in fields(DemoCase)]
    return [
        DemoRow(
            **{name: getattr(case, name) for name in stated},
            **{name: given[row] for name, given in answers.items()},
        )
        for row, case in enumerate(chosen)
    ]
