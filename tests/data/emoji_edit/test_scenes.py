from itertools import pairwise

import numpy as np
import pytest

from liveedit.data.emoji_edit.concepts import (
    DRAWINGS,
    all_concepts,
    concepts_by_name,
    other_drawing,
)
from liveedit.data.emoji_edit.drawings import RASTER_SIZE, rasterise, svg_folder
from liveedit.data.emoji_edit.families import FAMILIES, FAMILY_BY_NAME, SIDES, pick_thing
from liveedit.data.emoji_edit.scene import PATTERNS, SCENE_SIZE, Placement, Scene, arrange, render


def some_scene(*names: str, seed: int = 0) -> Scene:
    return arrange(names, ("openmoji",) * len(names), np.random.default_rng(seed))


def pixels(scene: Scene) -> np.ndarray:
    return np.asarray(render(scene)).astype(int)


def test_there_are_enough_concepts_and_no_two_share_a_name_or_a_drawing():
    concepts = all_concepts()
    assert len(concepts) >= 600
    assert len(concepts_by_name()) == len(concepts)
    assert len({name.lower() for name in concepts_by_name()}) == len(concepts)
    for drawing in DRAWINGS:
        assert len({concept.file_stem(drawing) for concept in concepts}) == len(concepts)
    for concept in concepts:
        assert concept.name == concept.name.strip() != ""
        assert concept.category == concept.category.strip() != ""


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_every_concept_is_drawn_by_both_artists(drawing):
    missing = [
        concept.name
        for concept in all_concepts()
        if not (svg_folder(drawing) / f"{concept.file_stem(drawing)}.svg").is_file()
    ]
    assert not missing


@pytest.mark.parametrize("drawing", DRAWINGS)
def test_drawings_are_cropped_and_as_large_as_promised(drawing):
    for concept in all_concepts()[::60]:
        picture = rasterise(concept, drawing)
        assert picture.mode == "RGBA"
        assert max(picture.size) == RASTER_SIZE
        assert np.asarray(picture)[..., 3].max() == 255, f"{concept.name} cannot be seen"
    first, second = (rasterise(all_concepts()[5], hand) for hand in DRAWINGS)
    assert first.tobytes() != second.tobytes()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_things_stand_from_left_to_right_within_the_picture(count):
    names = tuple(concept.name for concept in all_concepts()[:count])
    for seed in range(50):
        scene = some_scene(*names, seed=seed)
        assert scene.concepts == names
        edges = [(one.x - one.size / 2, one.x + one.size / 2) for one in scene.placements]
        assert edges[0][0] >= -1
        assert edges[-1][1] <= SCENE_SIZE + 1
        for (_, right), (left, _) in pairwise(edges):
            assert right <= left + 1, "two things overlap"
        assert all(
            one.size / 2 - 1 <= one.y <= SCENE_SIZE - one.size / 2 + 1 for one in scene.placements
        )


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_same_scene_gives_the_same_pixels(pattern):
    scene = Scene(placements=some_scene("dog").placements, ground="blue", pattern=pattern, seed=4)
    other = Scene(placements=scene.placements, ground="blue", pattern=pattern, seed=5)
    assert render(scene).size == (SCENE_SIZE, SCENE_SIZE)
    assert render(scene).mode == "RGB"
    assert np.array_equal(pixels(scene), pixels(scene))
    assert not np.array_equal(pixels(scene), pixels(other))


def test_placed_things_change_the_pixels_where_they_stand_and_only_there():
    placement = Placement(concept="dog", drawing="openmoji", x=60, y=70, size=80)
    with_dog = pixels(Scene(placements=(placement,), ground="red", pattern="noise", seed=1))
    without = pixels(Scene(placements=(), ground="red", pattern="noise", seed=1))
    rows, columns = np.nonzero((with_dog != without).any(2))
    assert 20 <= columns.min() <= 30
    assert 90 <= columns.max() <= 100
    assert rows.min() >= 30
    assert rows.max() <= 110


def test_redrawn_scene_keeps_everything_but_the_hand():
    scene = some_scene("dog", "banana")
    redrawn = scene.redrawn()
    assert redrawn.redrawn() == scene
    assert redrawn.concepts == scene.concepts
    for before, after in zip(scene.placements, redrawn.placements, strict=True):
        assert after.drawing == other_drawing(before.drawing) != before.drawing
        assert (after.x, after.y, after.size, after.angle) == (
            before.x, before.y, before.size, before.angle,
        )  # fmt: skip
    changed = (pixels(scene) != pixels(redrawn)).any(2)
    assert changed.any()
    assert not changed[:8].any(), "the ground has changed, too"
    assert (redrawn.ground, redrawn.pattern, redrawn.seed) == (
        scene.ground, scene.pattern, scene.seed,
    )  # fmt: skip


def test_there_are_enough_families_and_phrasings():
    assert len(FAMILIES) >= 12
    assert len(FAMILY_BY_NAME) == len(FAMILIES)
    for family in FAMILIES:
        assert len(family.training) >= 6, family.name
        assert len(family.evaluation) >= 3, family.name
        assert set(family.counts) <= {1, 2, 3}, family.name


def test_no_phrasing_occurs_twice():
    """Neither in training and evaluation, nor in two families: it would have two right answers."""
    phrasings = [
        text for family in FAMILIES for text in family.training + family.more + family.evaluation
    ]
    bare = [text.lower().rstrip("?.") for text in phrasings]
    assert len(set(bare)) == len(bare), {text for text in bare if bare.count(text) > 1}


def test_all_or_none_of_a_familys_phrasings_name_a_thing():
    for family in FAMILIES:
        for text in family.training + family.evaluation:
            assert text.count("{thing}") == int(family.names_thing), text
            assert text.format(thing="dog").count("{") == 0


@pytest.mark.parametrize(
    ("family", "scene", "thing", "truth"),
    [
        ("name", ("dog",), "", "dog"),
        ("left", ("dog", "banana"), "", "dog"),
        ("left", ("dog", "banana", "owl"), "", "dog"),
        ("right", ("dog", "banana"), "", "banana"),
        ("right", ("dog", "banana", "owl"), "", "owl"),
        ("middle", ("dog", "banana", "owl"), "", "banana"),
        ("count", ("dog",), "", "one"),
        ("count", ("dog", "banana", "owl"), "", "three"),
        ("category", ("dog",), "", "animal"),
        ("side", ("dog", "banana"), "banana", "right"),
        ("side", ("dog", "banana", "owl"), "banana", "middle"),
        ("side", ("dog", "banana", "owl"), "dog", "left"),
        ("beside", ("dog", "banana"), "banana", "dog"),
        ("beside", ("dog", "banana"), "dog", "banana"),
        ("presence", ("dog", "banana"), "banana", "yes"),
        ("presence", ("dog", "banana"), "owl", "no"),
        ("use", ("banana",), "", "eating"),
        ("use", ("dog",), "", None),
        ("owner", ("dog",), "", None),
        ("price", ("dog",), "", None),
        ("maker", ("dog",), "", None),
        ("place", ("dog",), "", None),
    ],
)
def test_truths(family, scene, thing, truth):
    assert len(scene) in FAMILY_BY_NAME[family].counts
    assert FAMILY_BY_NAME[family].truth(some_scene(*scene), thing) == truth


def test_truths_about_the_ground():
    scene = some_scene("dog", "banana")
    assert FAMILY_BY_NAME["ground"].truth(scene, "") == scene.ground
    assert FAMILY_BY_NAME["caption"].truth(scene, "") == f"dog and banana on {scene.ground}"
    alone = some_scene("dog")
    assert FAMILY_BY_NAME["caption"].truth(alone, "") == f"dog on {alone.ground}"


def test_things_that_questions_name():
    scene, random = some_scene("dog", "banana", "owl"), np.random.default_rng(0)
    absent = ("dog", "monkey", "gorilla")
    for family in FAMILIES:
        found = {pick_thing(family, scene, absent, random) for _ in range(60)}
        if family.name == "presence":
            assert found == {"dog", "banana", "owl", "monkey", "gorilla"}
        elif family.names_thing:
            assert found == set(scene.concepts)
        else:
            assert found == {""}


def test_sides_go_with_the_number_of_things():
    assert {count: len(sides) for count, sides in SIDES.items()} == {1: 1, 2: 2, 3: 3}
