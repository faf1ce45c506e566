import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from liveedit.correction.same_picture import same_picture
from liveedit.data.emoji_edit.corrections import validation_set
from liveedit.data.emoji_edit.scene import render
from liveedit.data.resaving import RESAVED, resaved_at_random


@pytest.fixture(scope="module")
def scenes() -> list[Image.Image]:
    return [render(case.scene) for case in validation_set(12)]


def meter(reading: int) -> Image.Image:
    """Two readings of one meter differ in a figure or two."""
    picture = Image.new("RGB", (600, 600), (200, 200, 190))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((100, 100, 500, 500), fill="white", outline="black", width=5)
    draw.text((220, 260), str(reading), fill="black", font=ImageFont.load_default(70))
    return picture


def form(seed: int) -> Image.Image:
    """Two invoices on one form."""
    amounts = np.random.default_rng(seed).integers(10, 99, 12)
    picture = Image.new("RGB", (600, 800), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((40, 40), "INVOICE", fill="black", font=ImageFont.load_default(40))
    for row, amount in enumerate(amounts):
        draw.text((40, 120 + 40 * row), f"Item {row}, and what it is", fill="black")
        text = f"{amount}.00"
        draw.text((420, 120 + 40 * row), text, fill="black", font=ImageFont.load_default(22))
    return picture


@pytest.mark.parametrize("name", RESAVED)
def test_a_picture_saved_anew_is_the_same(scenes, name) -> None:
    found = [same_picture(RESAVED[name](one), one) for one in scenes]
    assert sum(found) >= len(scenes) - (name == "brighter")
    found = [same_picture(one, RESAVED[name](one)) for one in scenes]
    assert sum(found) >= len(scenes) - (name == "brighter")


def test_changes_at_random_leave_nearly_every_picture_the_same(scenes) -> None:
    random = np.random.default_rng(0)
    changed = [(resaved_at_random(one, random), one) for one in scenes for _ in range(3)]
    assert np.mean([same_picture(*both) for both in changed]) > 0.8


def test_look_alikes_are_others(scenes) -> None:
    for case, picture in zip(validation_set(12), scenes, strict=True):
        assert not same_picture(render(case.scene.redrawn()), picture)
        assert not same_picture(render(case.strict_scene), picture)
        assert not same_picture(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), picture)


def test_readings_and_forms_are_others() -> None:
    meters = [meter(1230 + number) for number in range(4)]
    forms = [form(number) for number in range(4)]
    for several in (meters, forms):
        for one in several:
            assert [same_picture(one, other) for other in several].count(True) == 1
            assert same_picture(RESAVED["JPEG 40"](one), one)


def test_plain_pictures_and_odd_shapes() -> None:
    grey, white = (Image.new("RGB", (64, 64), colour) for colour in ("grey", "white"))
    assert same_picture(grey, grey.resize((3, 3)))
    assert not same_picture(grey, white)
    assert not same_picture(Image.new("RGB", (900, 4), "red"), Image.new("RGB", (4, 900), "blue"))
    assert same_picture(Image.new("L", (5, 5), 200), Image.new("RGB", (5, 5), (200, 200, 200)))
