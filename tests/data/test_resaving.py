import numpy as np
import pytest
from PIL import Image

from liveedit.data.emoji_edit.corrections import validation_set
from liveedit.data.emoji_edit.scene import render
from liveedit.data.resaving import RESAVED, resaved_at_random
from liveedit.data.views import views_of


@pytest.fixture(scope="module")
def picture() -> Image.Image:
    return render(validation_set(1)[0].scene)


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("JPEG 15", (256, 256)), ("half", (128, 128)), ("double", (512, 512)),
        ("frame", (266, 266)), ("crop of 8%", (216, 216)), ("letterboxed", (455, 256)),
    ],
)  # fmt: skip
def test_sizes(picture, name, size) -> None:
    assert RESAVED[name](picture).size == size


def test_brightness_and_compression(picture) -> None:
    level = {name: np.asarray(RESAVED[name](picture), float).mean() for name in RESAVED}
    plain = np.asarray(picture, float).mean()
    assert level["darker"] == pytest.approx(0.75 * plain, abs=1)
    assert level["brighter"] > plain
    losses = [
        np.abs(np.asarray(RESAVED[f"JPEG {q}"](picture), float) - np.asarray(picture)).mean()
        for q in (75, 40, 15)
    ]
    assert 0 < losses[0] < losses[1] < losses[2]


def test_changes_are_drawn_from_the_seed(picture) -> None:
    one, same, other = (
        resaved_at_random(picture, np.random.default_rng(seed)).tobytes() for seed in (1, 1, 2)
    )
    assert one == same != other


def test_views_of_a_correction_come_back_changed() -> None:
    case = validation_set(1)[0]
    names = ("edit", "saved anew: half", "met again", "free words")
    edit, half, again, free = views_of(case, names)
    assert half[0].size == (128, 128)
    assert half[1] == edit[1] == case.question.text
    assert again[0].tobytes() != edit[0].tobytes() == free[0].tobytes()
    assert again[1] == free[1] == case.again.text
