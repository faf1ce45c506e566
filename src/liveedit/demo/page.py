"""The page of ``liveedit demo``: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from PIL import Image

from liveedit.correction.data_url import data_url
from liveedit.demo.rows import DemoRow

# pixels of the longer side: twice what the page gives them, for dense screens
_PICTURE_SIZE = 512
_THUMBNAIL_SIZE = 176


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture as the page carries it.

    Args:
        url: Data URL.
        alt: What the picture is, for those who do not see it.
    """

    url: str
    alt: str


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of a card: a question asked, and what became of its answer.

    Args:
        label: What is checked.
        picture: The picture asked about.
        question: The question asked.
        answer: The model's answer.
        earlier: The answer to compare with, shown before ``answer``, or None for none.
        succeeded: Whether this is what a correction should do.
        verdicts: The verdict in a word or two where it succeeded, and where it failed.
    """

    label: str
    picture: Picture
    question: str
    answer: str
    earlier: str | None = None
    succeeded: bool
    verdicts: tuple[str, str] = ("right", "wrong")

    @property
    def verdict(self) -> str:
        """The verdict in a word or two."""
        return self.verdicts[0] if self.succeeded else self.verdicts[1]


@dataclass(frozen=True, kw_only=True)
class Card:
    """One correction as the page shows it."""

    number: int
    row: DemoRow
    picture: Picture
    checks: tuple[Check, ...]

    @property
    def succeeded(self) -> int:
        """How many checks succeeded."""
        return sum(check.succeeded for check in self.checks)


def render_page(rows: Sequence[DemoRow], *, backbone: str, seconds: float) -> str:
    """Show corrections and what became of them.

    Args:
        rows: The corrections, in the order to show them.
        backbone: Name of the corrected model.
        seconds: How long the demonstration took.

    Returns:
        An HTML document that carries its pictures and styles, loads nothing and runs no script.
    """
    cards = tuple(_card(number, row) for number, row in enumerate(rows, start=1))
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = files(__package__).joinpath("page.html.j2").read_text(encoding="utf-8")
    return environment.from_string(template).render(
        cards=cards,
        tallies=_tallies(cards),
        succeeded=sum(card.succeeded for card in cards),
        total=sum(len(card.checks) for card in cards),
        backbone=backbone,
        duration=_duration(seconds),
    )


def _card(number: int, row: DemoRow) -> Card:
    corrected = _picture(row.image, _THUMBNAIL_SIZE, alt="The corrected picture")
    return Card(
        number=number,
        row=row,
        picture=_picture(row.image, _PICTURE_SIZE, alt=f"The picture of correction {number}"),
        checks=(
            Check(
                label="Same question",
                picture=corrected,
                question=row.prompt,
                answer=row.after,
                succeeded=row.corrected,
            ),
            Check(
                label="Rephrased",
                picture=corrected,
                question=row.rephrased_prompt,
                answer=row.rephrased,
                succeeded=row.rephrased_right,
            ),
            Check(
                label="Another picture of it",
                picture=_picture(
                    row.another,
                    _THUMBNAIL_SIZE,
                    alt="The same scene by another artist, or the photograph cropped and mirrored",
                ),
                question=row.prompt,
                answer=row.about_another,
                succeeded=row.another_right,
            ),
            Check(
                label="Strict neighbour",
                picture=_picture(row.neighbour, _THUMBNAIL_SIZE, alt="The neighbour’s picture"),
                question=row.neighbour_prompt,
                answer=row.neighbour_after,
                earlier=row.neighbour_before,
                succeeded=row.neighbour_kept,
                verdicts=("kept", "changed"),
            ),
            Check(
                label="After revoking",
                picture=corrected,
                question=row.prompt,
                answer=row.revoked,
                succeeded=row.forgotten,
                verdicts=("as before", "not as before"),
            ),
        ),
    )


def _tallies(cards: Sequence[Card]) -> list[tuple[str, int, int]]:
    """Label, successes and number of every kind of check."""
    return [
        (checks[0].label, sum(check.succeeded for check in checks), len(checks))
        for checks in zip(*(card.checks for card in cards), strict=True)
    ]


def _picture(image: Image.Image, longest: int, *, alt: str) -> Picture:
    return Picture(url=data_url(image, longest), alt=alt)


def _duration(seconds: float) -> str:
    if seconds < 9.95:
        return f"{seconds:.1f} seconds"
    if seconds < 119.5:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes"
