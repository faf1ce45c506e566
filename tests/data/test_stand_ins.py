"""Photographs in the place of pictures that are not here: which, where, and what is told."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liveedit.benchmark.suite import file_suite, suite_of
from liveedit.correction import open_image
from liveedit.data.corrections_file import CorrectionRow
from liveedit.data.photo_edit.corrections import split_of
from liveedit.data.resaving import Resaved
from liveedit.data.sources import corrections_of
from liveedit.data.stand_ins import read_stand_ins, stand_in
from liveedit.data.views import views_of
from liveedit.errors import BadAnnotations
from liveedit.training.data import training_data
from tests.data.annotations.samples import (
    SHARED,
    e_ic_row,
    e_vqa_row,
    make_pictures,
    one_hop,
    vlkeb_row,
    write,
)
from tests.photographs import photo_folder, picture


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("LIVEEDIT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return photo_folder(tmp_path_factory.mktemp("stand-ins") / "photos", each=6)


def suite(tmp_path: Path, photographs: Path, rows: list, name: str = "e-vqa", **more):
    stand_ins = read_stand_ins(photographs, "evaluation")
    file = write(tmp_path / "rows.json", rows)
    return file_suite(name, file, tmp_path / "images", stand_ins=stand_ins, **more)


def test_each_picture_has_a_photograph_of_the_split(tmp_path: Path, photographs: Path) -> None:
    found = suite(tmp_path, photographs, [e_vqa_row(number) for number in range(12)])
    assert len({case.image for case in found.pictured}) == 12
    unrelated = {one for case in found.pictured for one in (case.other_image, case.strict_image)}
    assert not unrelated & {case.image for case in found.pictured}
    for case in found.pictured:
        assert split_of(case.image.parent.name) == "evaluation"
        assert case.rephrased_image == Resaved(case.image, ("crop of 8%", "JPEG 40"))
        assert len(views_of(case, ("edit", "redrawn", "other image", "elsewhere"))) == 4
    assert found.stood_in is not None
    assert "24 pictures are not here" in str(found.stood_in)
    assert "(evaluation) stand in" in str(found.stood_in)
    again = suite(tmp_path, photographs, [e_vqa_row(number) for number in range(12)])
    assert again.pictured == found.pictured
    first = suite(tmp_path, photographs, [e_vqa_row(number) for number in range(5)])
    assert [one.image for one in first.pictured] == [one.image for one in found.pictured[:5]]


def test_where_all_ask_the_same_quarters_stand_in(tmp_path: Path, photographs: Path) -> None:
    found = suite(tmp_path, photographs, [e_ic_row(number) for number in range(60)], "e-ic")
    assert found.stood_in is not None
    assert found.stood_in.quarters > 20
    assert len({case.image for case in found.pictured}) == 60
    parts = [case.image for case in found.pictured if case.image.suffix == ".png"]
    assert len(parts) == found.stood_in.quarters
    wholes = {
        part.tobytes()
        for file in photographs.rglob("*.jpg")
        for part in _quarters(open_image(file))
    }
    assert all(open_image(file).tobytes() in wholes for file in parts)


def _quarters(image: Image.Image) -> list[Image.Image]:
    width, height = image.width // 2, image.height // 2
    return [
        image.crop((x, y, x + width, y + height)) for x in (0, width) for y in (0, height)
    ]  # fmt: skip


def test_more_corrections_than_photographs_and_quarters(tmp_path: Path, photographs: Path) -> None:
    with pytest.raises(BadAnnotations, match="take fewer rows"):
        suite(tmp_path, photographs, [e_ic_row(number) for number in range(400)], "e-ic")


def test_a_photograph_is_asked_about_again_with_another_question(
    tmp_path: Path, photographs: Path
) -> None:
    rows = [e_vqa_row(number) for number in range(80)]
    found = suite(tmp_path, photographs, rows)
    asked = [(case.image, case.prompt) for case in found.pictured]
    assert len(set(asked)) == len(asked)
    assert found.stood_in is not None
    assert found.stood_in.quarters == 0


def test_pictures_that_are_here_are_used(tmp_path: Path, photographs: Path) -> None:
    rows = [e_vqa_row(number) for number in range(6)]
    images = make_pictures(tmp_path / "images", rows)
    os.unlink(images / rows[0]["image_rephrase"])
    os.unlink(images / rows[1]["image"])
    found = suite(tmp_path, photographs, rows)
    first, second, third = found.pictured[:3]
    assert first.image == images / rows[0]["image"]
    assert isinstance(first.rephrased_image, Resaved)
    assert second.image.is_relative_to(photographs)
    assert isinstance(second.rephrased_image, Resaved)
    assert third.rephrased_image == images / rows[2]["image_rephrase"]


def test_entities_share_no_photograph(tmp_path: Path, photographs: Path) -> None:
    rows = [vlkeb_row(number) for number in range(60)]
    rows = [row | {"src": f"Who is it, number {at}?"} for at, row in enumerate(rows)]
    stand_ins = read_stand_ins(photographs, "evaluation")
    given = corrections_of(write(tmp_path / "rows.json", rows), tmp_path / "images")
    found, told = stand_in(given, stand_ins)
    assert len({row.images for row in found}) == len({row.images for row in given}) == 60
    assert told.quarters > 0
    same = [replace(row, concept="") for row in given]
    assert stand_in(same, stand_ins)[1].quarters == 0


def test_another_question_about_an_entity_does_not_ask_who_it_is(
    tmp_path: Path, photographs: Path, backbone
) -> None:
    rows = [vlkeb_row(number) for number in range(40)]
    who = ["Who is the actor featured in this image?", "Who is the actor in the picture?"]
    other = ["Which band is playing?", "What is the title of the film?"]
    rows = [row | {"src": who[at % 2], "rephrase": who[1 - at % 2],
                   "m_loc_q": (who + other)[at % 4]} for at, row in enumerate(rows)]  # fmt: skip
    found = suite(tmp_path, photographs, rows, "vlkeb")
    asked = {case.strict_prompt.removesuffix(" The answer is:") for case in found.pictured}
    assert asked <= set(other)
    file = write(tmp_path / "rows.json", rows)
    data = training_data(
        backbone, [str(file)], None, corrections=20, validation=10, stand_ins=photographs
    )
    asked = {case.strict_question.text.removesuffix(" The answer is:") for case in data.cases}
    assert asked & set(other)
    assert not asked & set(who)


def test_hops_are_about_the_same_photograph(tmp_path: Path, photographs: Path) -> None:
    rows = [vlkeb_row(number, port_new=[one_hop()]) for number in range(6)]
    rows = [row | {"m_loc_q": f"{row['m_loc_q']} {at}"} for at, row in enumerate(rows)]
    found = suite(tmp_path, photographs, rows, "vlkeb")
    assert [hop.image for hop in found.hops] == [case.image for case in found.pictured]


def test_a_report_opens_the_same_suite_again(tmp_path: Path, photographs: Path) -> None:
    rows = [e_vqa_row(number) for number in range(8)]
    found = suite(tmp_path, photographs, rows)
    summary = {
        "dataset": "e-vqa", "annotations": str(tmp_path / "rows.json"), "corrections": 8,
        "images": str(tmp_path / "images"),
        "stand_ins": {"folder": str(photographs), "split": "evaluation"},
    }  # fmt: skip
    assert suite_of(summary).pictured == found.pictured


def test_training_and_validation_have_photographs_of_their_own(
    tmp_path: Path, photographs: Path, backbone, caplog
) -> None:
    file = write(tmp_path / "rows.json", [e_vqa_row(number) for number in range(40)])
    with caplog.at_level(logging.WARNING):
        data = training_data(
            backbone, [str(file)], None, corrections=20, validation=10, stand_ins=photographs
        )
    assert "stand in for them" in caplog.text
    for some, split in ((data.cases, "train"), (data.held, "validation")):
        files = {one.file for case in some for one in (case.scene, case.other_scene)}
        assert {split_of(file.parent.name) for file in files} == {split}
    assert all(case.scene.another is None for case in data.cases)


def test_rows_that_lost_their_picture_lost_what_it_showed(photographs: Path) -> None:
    row = CorrectionRow(
        line=1, images=(Path("a.png"),), prompt="?", target="!", concept="paris",
        other_images=(Path("b.png"),),
    )  # fmt: skip
    stand_ins = read_stand_ins(photographs, "train")
    ((found,), told) = stand_in([row], stand_ins)
    assert (found.concept, found.other_images) == ("", ())
    assert told.pictures == 1
    here = replace(row, images=(next(photographs.rglob("*.jpg")),))
    assert stand_in([here], stand_ins)[0] == [replace(here, other_images=())]


def test_loose_pictures_stand_in_too(tmp_path: Path) -> None:
    for number in range(40):
        picture(number).save(tmp_path / f"{number}.png")
    some = {split: set(read_stand_ins(tmp_path, split).photographs)
            for split in ("train", "validation", "evaluation")}  # fmt: skip
    assert sum(map(len, some.values())) == len(set().union(*some.values())) == 40


def test_too_few_photographs(tmp_path: Path) -> None:
    picture(1).save(tmp_path / "1.png")
    with pytest.raises(BadAnnotations, match="too few to stand in"):
        suite(tmp_path, tmp_path, [e_vqa_row(number) for number in range(4)])


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("e-vqa", "easy-edit-mm/vqa/vqa_train.json"),
        ("e-ic", "easy-edit-mm/caption/caption_eval_edit.json"),
        ("vlkeb", "VLKEB/eval_edit_onehop.json"),
    ],
)
def test_the_published_files(tmp_path: Path, name: str, file: str) -> None:
    if not SHARED.is_dir():
        pytest.skip("the published annotation files and photographs are not here")
    stand_ins = read_stand_ins(SHARED / "photos", "evaluation")
    found = file_suite(name, SHARED / file, tmp_path, 300, stand_ins=stand_ins)
    asked = {(case.image, case.prompt) for case in found.pictured}
    assert len(asked) == 300
    for case in found.pictured:
        assert (case.strict_image, case.prompt) not in asked
        assert (case.image, case.strict_prompt) not in asked
        assert (case.other_image, case.other_prompt) not in asked


def test_rows_keep_their_pictures_without_stand_ins(tmp_path: Path) -> None:
    rows = [e_vqa_row(number) for number in range(3)]
    images = make_pictures(tmp_path / "images", rows)
    found = corrections_of(write(tmp_path / "rows.json", rows), images)
    assert [row.images[0] for row in found] == [images / row["image"] for row in rows]
    assert np.all([len(row.other_images) == 1 for row in found])
