from dataclasses import replace

import pytest
import torch
from PIL import Image

from liveedit.backbones.query import Questions
from liveedit.methods.liveedit.features import QueryInputs, RoutingFeatures
from liveedit.methods.liveedit.messages import Lines, lines_of
from liveedit.methods.route import Route

PICTURES = [Image.new("RGB", (8, 8)), None, Image.new("RGB", (9, 9))]


def asked(*prompts: str) -> Questions:
    return Questions(pictures=PICTURES[: len(prompts)], prompts=prompts)


@pytest.mark.parametrize(
    ("prompt", "lines"),
    [
        ("Who is it?", []),
        ("  Who is it?\n\n ", []),
        ("Dear all,\nthe lift is out of order.\n\nWho is it?", ["Dear all,", "Who is it?"]),
        ("Who is it?\r\nThanks", ["Who is it?", "Thanks"]),
        ("Who is it?\nWho is it?", ["Who is it?"]),
        ("a" * 301 + "\nWho is it?", ["Who is it?"]),
        ("a" * 301 + "\n" + "b" * 301, []),
    ],
)
def test_first_and_last_line_of_a_message(prompt: str, lines: list[str]) -> None:
    found = lines_of(asked(prompt))
    assert (list(found[0].prompts) if found else []) == lines


def test_lines_are_about_the_pictures_of_their_message() -> None:
    found = lines_of(asked("one line", "a\nb", "c\nd"))
    assert found is not None
    lines, owners = found
    assert list(lines.prompts) == ["a", "b", "c", "d"]
    assert list(lines.pictures) == [None, None, PICTURES[2], PICTURES[2]]
    assert owners == [1, 1, 2, 2]
    assert lines_of(asked("one", "two")) is None


def features(rows: int, length: int) -> RoutingFeatures:
    return RoutingFeatures(
        vision=torch.rand(rows, 4), prompt=torch.rand(rows, 4), sentinel=torch.rand(rows, 4),
        sees=torch.ones(rows, dtype=torch.bool), length=torch.full((rows,), length),
    )  # fmt: skip


def test_a_line_counts_as_long_as_its_message() -> None:
    messages = replace(features(3, 0), length=torch.tensor([5, 70, 600]))
    lines = Lines(features=features(2, 9), owner=torch.tensor([2, 1]), questions=["x", "y"])
    both = lines.behind(messages)
    assert both.length is not None
    assert both.length.tolist() == [5, 70, 600, 600, 70]
    assert torch.equal(both.vision[3:], lines.features.vision)
    assert lines.rows(3).tolist() == [0, 1, 2, 2, 1]
    assert both.inputs is None


def test_a_line_shows_what_its_message_shows_and_asks_its_own_words() -> None:
    shown = QueryInputs(PICTURES.__getitem__, [1, 2, 0], "abc".__getitem__)
    lines = Lines(features=features(2, 9), owner=torch.tensor([2, 1]), questions=["x", "y"])
    inputs = lines.behind(replace(features(3, 9), inputs=shown)).inputs
    assert inputs is not None
    assert [inputs.question(row) for row in range(5)] == ["b", "c", "a", "x", "y"]
    assert [inputs.picture(row) for row in range(5)] == [PICTURES[at] for at in (1, 2, 0, 0, 2)]
    assert inputs.identity_of(3) == inputs.identity_of(2) != inputs.identity_of(4)


def test_the_heaviest_of_message_and_lines_decides() -> None:
    weights = torch.tensor(
        [[0.0, 0.0], [0.6, 0.0], [0.0, 0.9], [0.0, 0.8], [0.7, 0.0], [0.0, 0.2], [0.0, 0.5]]
    )
    numbers = torch.arange(14.0).view(7, 2)
    route = Route(
        vision=numbers, threshold=numbers[:, :1], prompt=-numbers,
        passes=weights > 0, weights=weights,
    )  # fmt: skip
    lines = Lines(features=features(4, 9), owner=torch.tensor([0, 1, 2, 0]), questions="wxyz")
    found = lines.decide(route)
    assert found.vision[:, 0].tolist() == [6, 8, 4]
    assert torch.equal(found.weights, weights[[3, 4, 2]])
    assert torch.equal(found.passes, found.weights > 0)
    assert torch.equal(found.threshold[:, 0], found.vision[:, 0])
