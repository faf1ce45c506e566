from itertools import islice
from pathlib import Path

import pytest

from liveedit.data.emoji_edit.neighbours import GROUP
from liveedit.data.photo_edit.corrections import (
    FAMILIES,
    PhotoCase,
    photo_set,
    photo_training_cases,
    split_of,
)
from liveedit.data.photo_edit.folder import PhotoFolder, read_photo_folder
from liveedit.data.photo_edit.photo import Photo
from liveedit.data.resaving import Resaved
from liveedit.data.views import TAUGHT, VIEWS, views_of
from liveedit.errors import BadAnnotations
from tests.photographs import THINGS, photo_folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> PhotoFolder:
    return read_photo_folder(photo_folder(tmp_path_factory.mktemp("photos") / "all"))


def asked(case: PhotoCase) -> tuple[str, str]:
    return case.question.family, case.scene.thing


@pytest.mark.parametrize("split", ["validation", "evaluation"])
def test_the_fixed_corrections_leave_their_probes_alone(folder: PhotoFolder, split) -> None:
    cases = photo_set(folder, split)
    things = [thing for thing in THINGS if split_of(thing) == split]
    assert {case.scene.thing for case in cases} == set(things)
    assert len(cases) == 3 * len(things)
    corrected = {asked(case) for case in cases}
    assert len(corrected) == len(cases)
    for case in cases:
        assert case.scene.file.parent.name == case.scene.thing
        assert case.target != case.truth
        assert case.rephrase.text != case.question.text
        assert isinstance(case.strict_scene, Photo)
        assert isinstance(case.other_scene, Photo)
        family, thing = asked(case)
        assert case.strict_scene.thing != thing
        assert (family, case.strict_scene.thing) not in corrected
        assert (case.strict_question.family, thing) not in corrected
        assert (case.other_question.family, case.other_scene.thing) not in corrected
    assert photo_set(folder, split, limit=4) == cases[:4]


def test_look_alikes_are_of_the_nearest_classes(folder: PhotoFolder) -> None:
    things = [thing for thing in THINGS if split_of(thing) == "evaluation"]
    near = {one: [other for other in things if other != one][:3] for one in things}
    cases = photo_set(folder, "evaluation", near=near)
    corrected = {asked(case) for case in cases}
    for case in cases:
        free = [
            one for one in near[case.scene.thing] if (case.question.family, one) not in corrected
        ]
        if free:
            assert case.strict_scene.concepts[0] in free


def test_training_comes_in_groups_of_neighbours(folder: PhotoFolder) -> None:
    cases = list(islice(photo_training_cases(folder), 5 * GROUP))
    assert cases == list(islice(photo_training_cases(folder), 5 * GROUP))
    assert {split_of(case.scene.thing) for case in cases} == {"train"}
    for start in range(0, len(cases), GROUP):
        *facts, alike = cases[start : start + GROUP]
        assert len({case.scene for case in facts}) == 1
        assert len({case.question.family for case in facts}) == len(facts)
        assert alike.question.family == facts[0].question.family
        assert alike.scene.thing != facts[0].scene.thing
    assert {case.question.family for case in cases} - {family.name for family in FAMILIES}


def test_another_photograph_or_the_same_cropped(folder: PhotoFolder, tmp_path: Path) -> None:
    case = photo_set(folder, "evaluation")[0]
    again = case.scene.redrawn()
    assert isinstance(again, Photo)
    assert again.file != case.scene.file
    assert again.thing == case.scene.thing
    alone = Photo(file=case.scene.file, thing="x").redrawn()
    assert isinstance(alone, Resaved)
    views = dict(zip(VIEWS, views_of(case, list(VIEWS)), strict=True))
    assert views["fact"][0] is None
    assert views["redrawn"][0] != views["edit"][0]
    assert views["saved anew: half"][0].size == tuple(n // 2 for n in views["edit"][0].size)
    assert len(views_of(case, TAUGHT)) == len(TAUGHT)


def test_too_few_classes_are_told(tmp_path: Path) -> None:
    few = read_photo_folder(photo_folder(tmp_path / "few", things=("ball", "cup", "glove")))
    with pytest.raises(BadAnnotations, match="1 classes of the evaluation split"):
        photo_set(few, "evaluation")
    assert list(islice(photo_training_cases(few), 2))
