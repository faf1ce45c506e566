"""Corrections as a page: what each looks like from every side that it is learned or tested by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from tqdm import tqdm

from liveedit.correction.data_url import data_url
from liveedit.data.views import Case, views_of
from liveedit.errors import LiveEditError

_PIXELS = 240  # of a picture's longer side: twice what the page gives it
# sides of a correction, with what is wanted of them
SIDES: Mapping[str, str] = {
    "edit": "the correction",
    "rephrase": "in other words",
    "redrawn": "another picture of the same",
    "met again": "met again: saved anew, as people type",
    "other image": "the same question, another picture: unchanged",
    "other question": "another question, the same picture: unchanged",
    "elsewhere": "another question, another picture: unchanged",
    "fact": "without a picture: unchanged",
}


@dataclass(frozen=True, kw_only=True)
class Side:
    """A side of a correction.

    Args:
        label: What it is.
        picture: Data URL, if a picture is seen.
        question: What is asked.
        problem: Why there is no picture, where there should be one.
    """

    label: str
    picture: str | None
    question: str
    problem: str = ""


def render_cases(title: str, cases: Sequence[Case], notes: Sequence[str] = ()) -> str:
    """One HTML file that needs nothing but itself.

    Args:
        title: Where the corrections are from.
        cases: Those to show, all with pictures.
        notes: What to say about them, a sentence each.
    """
    shown = [
        (case.target, [_side(case, name, label) for name, label in SIDES.items()])
        for case in tqdm(cases, desc="drawing", unit="correction", leave=False)
    ]
    source = files(__package__).joinpath("cases.html.j2").read_text(encoding="utf-8")
    page = Environment(autoescape=True, undefined=StrictUndefined).from_string(source)
    return page.render(title=title, cases=shown, notes=notes)


def _side(case: Case, name: str, label: str) -> Side:
    try:
        image, question = views_of(case, (name,))[0]
    except LiveEditError as error:
        return Side(label=label, picture=None, question="", problem=str(error))
    picture = None if image is None else data_url(image, _PIXELS)
    return Side(label=label, picture=picture, question=question)
