import numpy as np
import pytest
from PIL import Image, ImageOps

from liveedit.correction.borders import without_borders
from liveedit.correction.same_picture import same_picture


def scene(seed: int = 0) -> Image.Image:
    """Coarse coloured noise: nothing of it is plain."""
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((200, 200), Image.Resampling.BICUBIC)


def barred(picture: Image.Image, shape: tuple[int, int], colour: str) -> Image.Image:
    return ImageOps.pad(picture, shape, color=colour)


def test_borders_go_one_by_one() -> None:
    picture = ImageOps.expand(barred(scene(), (360, 200), "navy"), 12, "white")
    layers = [inner.size for inner in without_borders(picture)]
    assert len(layers) == 2
    assert layers[0] == pytest.approx((360 * 0.92, 200 * 0.92), abs=4)
    assert layers[1] == pytest.approx((200 * 0.92, 200 * 0.92), abs=4)


@pytest.mark.parametrize("picture", [scene(), Image.new("RGB", (50, 50), "red")])
def test_without_a_border_there_is_nothing(picture: Image.Image) -> None:
    assert list(without_borders(picture)) == []


@pytest.mark.parametrize(
    "change",
    [
        lambda one: barred(one, (360, 200), "black"),
        lambda one: barred(barred(one, (200, 360), "grey"), (480, 360), "navy"),
        lambda one: ImageOps.expand(barred(one, (300, 200), "white"), 10, "black"),
        lambda one: barred(ImageOps.expand(one, 6, "navy"), (320, 212), "white"),
    ],
)
def test_bars_and_frames_of_one_picture(change) -> None:
    assert same_picture(change(scene()), scene())
    assert same_picture(scene(), change(scene()))
    assert not same_picture(change(scene(1)), scene())
    assert not same_picture(scene(), change(scene(1)))


def test_one_thing_at_two_places_on_a_plain_ground_is_two_pictures() -> None:
    def placed(x: int, y: int) -> Image.Image:
        ground = Image.new("RGB", (200, 200), "white")
        ground.paste(scene().resize((80, 80)), (x, y))
        return ground

    assert not same_picture(placed(20, 20), placed(100, 100))
    assert not same_picture(placed(100, 20), placed(20, 100))
