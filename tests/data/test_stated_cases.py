from pathlib import Path

import pytest

from liveedit.data.corrections_file import CorrectionRow, read_corrections
from liveedit.data.emoji_edit.scene import Scene
from liveedit.data.photo_edit.photo import Photo
from liveedit.data.stated_cases import (
    DRAWN,
    REPHRASED,
    SEEN_AGAIN,
    TEXT,
    UNRELATED,
    divided,
    stated_cases,
)
from liveedit.data.views import TAUGHT, views_of
from liveedit.errors import BadAnnotations
from tests.photographs import corrections_file, picture


def rows_of(folder: Path, count: int, **fields: object) -> list[CorrectionRow]:
    good, bad = read_corrections(corrections_file(folder, count, **fields))
    assert bad == []
    return good


def test_what_rows_lack_is_derived_and_told(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, 8)
    found = stated_cases(rows, "validation")
    assert found.derived == {REPHRASED: 8, SEEN_AGAIN: 8, UNRELATED: 8, TEXT: 8}
    asked = {(case.scene.file, case.question.text) for case in found.cases}
    for case, row in zip(found.cases, rows, strict=True):
        assert (case.question.text, case.target) == (row.prompt, row.target)
        assert case.rephrase.text != row.prompt
        assert case.rephrase.meaning == case.again.meaning == case.question.meaning
        assert case.strict_question.meaning != case.question.meaning
        assert isinstance(case.strict_scene, Photo)
        assert isinstance(case.other_scene, Photo)
        # no row asks what the probes ask
        assert (case.strict_scene.file, case.question.text) not in asked
        assert (case.scene.file, case.strict_question.text) not in asked
        assert (case.other_scene.file, case.other_question.text) not in asked
        assert len(views_of(case, TAUGHT)) == len(TAUGHT)
    assert stated_cases(rows, "validation").cases == found.cases


def test_what_rows_state_is_taken(tmp_path: Path) -> None:
    tmp_path.joinpath("more").mkdir()
    picture(77).save(tmp_path / "again.png")
    picture(78).save(tmp_path / "far.png")
    rows = rows_of(
        tmp_path, 4, rephrasings=["By whom?"], other_images=["again.png"], concept="",
        text_locality="How old is the sun?", locality_image="far.png", locality_prompt="Is it far?",
    )  # fmt: skip
    found = stated_cases(rows, "train")
    assert found.derived == {}
    case = found.cases[0]
    assert case.rephrase.text == "By whom?"
    assert case.scene.redrawn().file.name == "again.png"
    assert case.fact.question == "How old is the sun?"
    assert (case.other_scene.file.name, case.other_question.text) == ("far.png", "Is it far?")


def test_a_file_that_asks_the_same_about_all_pictures(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, 6, prompt="What is this?")
    learned, held = (stated_cases(rows, split) for split in ("train", "evaluation"))
    assert DRAWN not in learned.derived
    assert held.derived[DRAWN] == 12, "another picture for RI, and for M-Loc"
    for case in held.cases:
        assert isinstance(case.strict_scene, Scene)
        assert case.strict_question.text != "What is this?"


def test_text_only_rows_are_left_out_and_named(tmp_path: Path) -> None:
    rows = [*rows_of(tmp_path, 4), CorrectionRow(line=9, images=(), prompt="Who?", target="me")]
    found = stated_cases(rows, "train")
    assert len(found.cases) == 4
    assert found.left_out == (9,)


def test_one_picture_is_too_few(tmp_path: Path) -> None:
    with pytest.raises(BadAnnotations, match="two pictures"):
        stated_cases(rows_of(tmp_path, 1), "train")


def test_no_picture_and_no_concept_is_on_both_sides() -> None:
    def row(line: int, image: str, other: str = "", concept: str = "") -> CorrectionRow:
        return CorrectionRow(
            line=line, images=(Path(image),), prompt="?", target="!", concept=concept,
            other_images=(Path(other),) if other else (),
        )  # fmt: skip

    rows = [row(at, f"{at}.png", concept=f"thing {at % 30}") for at in range(100)]
    rows += [row(100 + at, f"{at}.png") for at in range(100)]  # pictures that are there already
    rows += [row(200, "a.png", "b.png"), row(201, "b.png", "c.png"), row(202, "c.png")]
    learned, held = divided(rows)
    assert len(learned) + len(held) == len(rows)
    assert 0 < len(held) < 0.3 * len(rows)
    for of in (
        lambda r: {*r.images, *r.other_images},
        lambda r: {r.concept} - {""},
    ):
        first, second = (set().union(*map(of, part)) for part in (learned, held))
        assert not first & second
    lines = [{r.line for r in part} & {200, 201, 202} for part in (learned, held)]
    assert sorted(map(len, lines)) == [0, 3]
