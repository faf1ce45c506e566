import json

import numpy as np
from PIL import Image

from liveedit.correction.images import pictures_identity
from liveedit.correction.same_picture import same_picture
from liveedit.vllm.pictures import given_pictures, received, to_send


def noise(seed, size):
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(size, Image.Resampling.BICUBIC)


def sent(pictures):
    return received(json.loads(json.dumps(to_send(pictures))))


def test_a_small_picture_arrives_as_it_is():
    picture = noise(0, (200, 120))
    found = sent([picture])
    assert pictures_identity(found.picture) == found.identity == pictures_identity(picture)


def test_of_a_large_one_the_identity_and_a_small_copy_arrive():
    picture = noise(0, (900, 600))
    found = sent([picture])
    assert found.identity == pictures_identity(picture)
    assert max(found.picture.size) == 256
    assert same_picture(found.picture, picture)
    assert not same_picture(found.picture, noise(1, (900, 600)))


def test_of_several_the_identity_arrives():
    several = [noise(0, (30, 30)), noise(1, (30, 30))]
    assert sent(several).identity == pictures_identity(several)
    assert sent(several).picture is None
    assert sent([]).identity is None


def test_pictures_are_found_in_what_vllm_is_given():
    class WithFile:
        media = noise(0, (30, 30))

    one, grey = noise(0, (30, 30)), noise(1, (30, 30)).convert("L")
    assert given_pictures({}) == []
    assert given_pictures({"image": None}) == []
    assert given_pictures({"image": one})[0].tobytes() == one.tobytes()
    assert given_pictures({"image": [WithFile()]})[0].tobytes() == one.tobytes()
    assert [each.mode for each in given_pictures({"image": [one, grey]})] == ["RGB", "RGB"]


def test_what_is_no_picture_is_left_to_vllm():
    assert given_pictures({"image": np.zeros((2, 5, 64), np.float32) + 7}) == []
    assert given_pictures({"image": [None]}) == []
