"""Of look-alikes the very picture wins; nothing else changes."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageOps

from liveedit.correction import pictures_identity
from liveedit.methods.liveedit.features import QueryInputs, Similarities
from liveedit.methods.liveedit.nearest import decide_nearest
from liveedit.methods.liveedit.routing import Router
from liveedit.methods.shared.known_pictures import KnownPictures
from liveedit.store.serialization import thumbnail


def similarities(vision: list[list[float]], *, sees: bool = True) -> Similarities:
    rows, columns = len(vision), len(vision[0])
    return Similarities(
        vision=torch.tensor(vision),
        sentinel=torch.zeros(rows, 1),
        prompt=torch.full((rows, columns), 2.0),
        pictured=torch.full((rows, 1), sees),
        sees=torch.full((rows, columns), sees),
        alike=torch.ones(rows, columns, dtype=torch.bool),
    )


def decide(
    vision: list[list[float]], own: dict[int, set[int]], *, sees: bool = True, margin: float = 0.0
):
    """The router's own route, the nearest one, and what was asked."""
    router, scores = Router(), similarities(vision, sees=sees)
    router.picture_margin.fill_(margin)
    everyone = torch.ones(1, len(vision[0]), dtype=torch.bool)
    crowd = torch.full((len(vision), 1), len(vision[0]))
    asked: list[tuple[int, tuple[int, ...], tuple[int, ...]]] = []

    def of_picture(row: int, likely: Sequence[int], others: Sequence[int]) -> list[bool]:
        asked.append((row, tuple(likely), tuple(others)))
        return [column in own.get(row, ()) for column in (*likely, *others)]

    plain = router.decide(scores, everyone, crowd).weights
    return plain, decide_nearest(router, scores, everyone, crowd, of_picture).weights, asked


def test_the_own_picture_takes_all_the_weight() -> None:
    plain, nearest, asked = decide([[3.0, 2.5, -1.0], [1.0, -1.0, -1.0]], {0: {1}})
    assert asked == [(0, (0, 1, 2), ()), (1, (0, 1, 2), ())], "the heaviest first"
    assert plain[0, 0] > plain[0, 1] > 0
    weight = 1 / (1 + math.exp(-2.0))
    assert nearest[0].tolist() == pytest.approx([0, weight, 0])
    assert torch.equal(nearest[1], plain[1])


@pytest.mark.parametrize("own", [{}, {0: {0, 1}}])
def test_where_pixels_decide_nothing_the_router_does(own) -> None:
    plain, nearest, _ = decide([[3.0, 2.5, -1.0]], own)
    assert torch.equal(plain, nearest)


def test_the_very_picture_passes_though_it_looks_different() -> None:
    plain, nearest, asked = decide([[-3.0, -2.0, -7.0], [1.0, -3.0, -7.0]], {0: {0}, 1: {1}})
    assert asked == [(0, (1, 0), (2,)), (1, (0, 1), (2,))], "what is far off is glanced at"
    assert not plain[0].any()
    weight = 1 / (1 + math.exp(-2.0))
    for row, own in enumerate((0, 1)):
        assert nearest[row].tolist() == pytest.approx([weight * (own == n) for n in range(3)])


def test_the_very_picture_passes_however_different_it_looks() -> None:
    plain, nearest, asked = decide([[1.0, -9.0, -8.0]], {0: {1}})
    assert asked == [(0, (0,), (2, 1))]
    assert plain[0, 0] > 0
    assert nearest[0].tolist() == pytest.approx([0, 1 / (1 + math.exp(-2.0)), 0])


def test_the_very_picture_passes_only_for_its_question() -> None:
    plain, nearest, asked = decide([[-3.0]], {0: {0}}, margin=2.5)
    assert asked == []
    assert torch.equal(plain, nearest)


def test_several_facts_about_one_picture_share_on() -> None:
    plain, nearest, _ = decide([[3.0, 2.5, 2.0]], {0: {0, 2}})
    assert nearest[0, 1] == 0
    assert (nearest[0, [0, 2]] > plain[0, [0, 2]]).all()
    ratio = nearest[0, 0] / nearest[0, 2]
    assert float(ratio) == pytest.approx(float(plain[0, 0] / plain[0, 2]), rel=1e-4)


def test_text_only_questions_have_no_picture_to_look_at() -> None:
    plain, nearest, asked = decide([[3.0, 2.5, 2.0]], {0: {1}}, sees=False)
    assert asked == []
    assert torch.equal(plain, nearest)


def test_only_the_heaviest_are_looked_at() -> None:
    _, _, asked = decide([[float(9 - n) for n in range(9)]], {})
    assert asked == [(0, (0, 1, 2, 3), (4, 5, 6, 7, 8))], "the others at a glance"


def test_identical_pictures_are_told_without_looking() -> None:
    def unasked(image: str) -> bytes:
        raise AssertionError(image)

    red, blue = (Image.new("RGB", (64, 64), colour) for colour in ("red", "blue"))
    names = [pictures_identity(one) for one in (red, blue)]
    assert KnownPictures(unasked).of(red, names) == [True, False]
    smaller = red.resize((32, 32))
    kept = {name: thumbnail(one) for name, one in zip(names, (red, blue), strict=True)}
    assert KnownPictures(kept.get).of(smaller, names) == [True, False]
    assert KnownPictures({}.get).of(smaller, names) == [False, False]
    assert KnownPictures({}.get).of([red, blue], names) == [False, False]


def test_of_many_pictures_those_alike_at_a_glance_are_compared() -> None:
    random = np.random.default_rng(0)
    drawn = [random.integers(0, 256, (8, 8, 3), np.uint8) for _ in range(40)]
    pictures = [Image.fromarray(one).resize((96, 96)) for one in drawn]
    names = [pictures_identity(one) for one in pictures]
    kept = {name: thumbnail(one) for name, one in zip(names, pictures, strict=True)}
    smaller = pictures[37].resize((48, 48))
    for shown in (smaller, ImageOps.mirror(smaller)):
        found = KnownPictures(kept.get).of(shown, names[:2], unlikely=names[2:])
        assert [at for at, one in enumerate(found) if one] == [37]
    # a glance is kept; what is not alike by it is not opened to be compared
    opened: list[str] = []
    known = KnownPictures(lambda name: opened.append(name) or kept[name])
    assert any(known.of(smaller, names[:2], unlikely=names[2:]))
    assert opened == [*names[:2], names[37]]


def test_without_a_thumbnail_nothing_is_alike() -> None:
    picture = Image.new("RGB", (64, 64), "red")
    other = pictures_identity(Image.new("RGB", (64, 64), "blue"))
    assert KnownPictures({}.get).of(picture, [None, other], unlikely=[None, other]) == [False] * 4


def test_a_mirrored_picture_is_the_edits_unless_another_is_the_very_one() -> None:
    left = Image.new("RGB", (256, 256), "white")
    ImageDraw.Draw(left).polygon([(16, 128), (240, 32), (240, 224)], fill="navy")
    right, other = ImageOps.mirror(left), Image.new("RGB", (256, 256), "green")
    names = [pictures_identity(one) for one in (left, right, other)]
    kept = {name: thumbnail(one) for name, one in zip(names, (left, right, other), strict=True)}
    smaller = right.resize((200, 200))
    assert KnownPictures(kept.get).of(smaller, names) == [False, True, False]
    assert KnownPictures(kept.get).of(smaller, [names[0], names[2]]) == [True, False]
    assert not KnownPictures(kept.get).same(None, smaller, names[0]), "supersedes nothing"


def test_pictures_of_a_batch_are_got_when_they_are_looked_at() -> None:
    got: list[int] = []
    inputs = QueryInputs(lambda row: got.append(row), range(5), "abcde".__getitem__)
    inputs = inputs.take([4, 2]).take([1])
    assert got == []
    assert inputs.picture(0) is None
    assert got == [2]
    assert inputs.question(0) == "c"
