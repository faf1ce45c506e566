"""Suites: text-only corrections and hops stand beside the corrections they belong to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from liveedit.benchmark.run import run_benchmark
from liveedit.benchmark.suite import emoji_suite, file_suite, stated_suite, suite_of
from liveedit.data.annotations.cases import FileCase
from liveedit.data.emoji_edit.corrections import EVALUATION_SIZE, evaluation_set, validation_set
from liveedit.data.views import digest, views_of
from liveedit.errors import BadAnnotations
from tests.data.annotations.samples import SHARED
from tests.photographs import corrections_file, corrections_table

COLOURS = ("red", "green", "blue", "white", "black", "orange", "purple", "brown")


def row(number: int, **fields: Any) -> dict[str, Any]:
    """A row of VLKEB's format, of an entity of its own."""
    return {
        "src": f"What is number {number}?",
        "rephrase": f"Which thing is number {number}?",
        "pred": "nothing",
        "alt": COLOURS[number],
        "image": f"m.{number}/a.png",
        "image_rephrase": f"m.{number}/b.png",
        "loc": f"who was number {number}",
        "loc_ans": "nobody",
        "m_loc": f"m.{number + 4}/a.png",
        "m_loc_q": f"Where is {number}?",
        "m_loc_a": "here",
        **fields,
    }


def hop(number: int) -> dict[str, str]:
    return {
        "port_edit_q": f"Who made {number}?", "port_edit_a": "Anna",
        "port_q": f"Who made the thing {number} in the picture?", "port_a": "Anna",
    }  # fmt: skip


@pytest.fixture
def images(tmp_path) -> Path:
    for number, colour in enumerate(COLOURS):
        folder = tmp_path / "images" / f"m.{number}"
        folder.mkdir(parents=True)
        for name, size in (("a", 20), ("b", 30)):
            Image.new("RGB", (size, size), colour).save(folder / f"{name}.png")
    return tmp_path / "images"


@pytest.fixture
def write(tmp_path):
    def write(rows: list[dict[str, Any]]) -> Path:
        path = tmp_path / "rows.json"
        path.write_text(json.dumps(rows))
        return path

    return write


def test_corrections_beyond_the_fixed_ones_are_not_asked_about() -> None:
    suite = emoji_suite(limit=EVALUATION_SIZE + 40)
    assert suite.pictured[:EVALUATION_SIZE] == evaluation_set()
    asked = [(one.question.family, frozenset(one.scene.concepts)) for one in suite.pictured]
    assert len(set(asked)) == len(asked) == EVALUATION_SIZE + 40
    # what locality is probed by, none of the corrections behind asks
    probes = {
        (question.family, question.thing, frozenset(scene.concepts))
        for one in evaluation_set()
        for question, scene in (
            (one.question, one.strict_scene),
            (one.strict_question, one.scene),
            (one.other_question, one.other_scene),
        )
    }
    for one in suite.pictured[EVALUATION_SIZE:]:
        assert (*one.question.meaning, frozenset(one.scene.concepts)) not in probes
    (group,) = suite.groups(EVALUATION_SIZE + 40)
    assert (len(group.edited), len(group.probed)) == (EVALUATION_SIZE + 40, EVALUATION_SIZE)
    assert [len(one.probed) for one in suite.groups(1990)] == [1990, 10]
    assert len(suite.groups(EVALUATION_SIZE + 40, 7)[0].probed) == 7


def test_emoji_suites() -> None:
    suite = emoji_suite(limit=25)
    assert list(suite.pictured) == evaluation_set(25)
    assert [len(group.edited) for group in suite.groups(10)] == [10, 10, 5]
    assert all(len(group.texts) == 1 and not group.hops for group in suite.groups(10))
    assert list(emoji_suite("validation").pictured) == validation_set()


@pytest.mark.parametrize("make", [corrections_file, corrections_table])
def test_corrections_of_ones_own(tmp_path: Path, make, make_model, monkeypatch) -> None:
    monkeypatch.setenv("LIVEEDIT_CACHE", str(tmp_path / "cache"))
    file = make(tmp_path / "some.parquet", 6)  # of lines, the name of their folder
    suite = stated_suite(file, None, limit=4)
    assert [case.target for case in suite.pictured] == [f"answer {at}" for at in range(4)]
    assert [len(group.edited) for group in suite.groups(3)] == [3, 1]
    about = {"split": "the whole file", "annotations": str(file), "images": None}
    summary = run_benchmark(
        make_model(), tmp_path / "run", suite, edits=[2], about=about, generate=False
    )
    assert summary["runs"]["2"]["metrics"]["m_gen"]["n"] == 4
    assert suite_of(summary).pictured == suite.pictured


def test_questions_are_in_the_affixes_of_the_paper(write, images) -> None:
    suite = file_suite("vlkeb", write([row(0), row(1)]), images)
    first = suite.pictured[0]
    assert isinstance(first, FileCase)
    assert (first.prompt, first.target) == ("What is number 0?", "red")
    assert first.other_prompt == "Where is 0? The answer is:"
    assert first.fact_prompt == "who was number 0?"


def test_strict_probes_are_not_what_a_row_corrects(write, images) -> None:
    # the unrelated picture of row 1 is corrected by row 2, and row 3's is of row 0's entity
    rows = [row(0), row(1, m_loc="m.2/a.png"), row(2), row(3, m_loc="m.0/b.png")]
    suite = file_suite("vlkeb", write(rows), images)
    corrected = {
        picture for case in suite.pictured for picture in (case.image, case.rephrased_image)
    }
    for case in suite.pictured:
        assert case.strict_image not in corrected
        assert case.strict_image.parent != case.image.parent
        assert case.strict_prompt not in (case.prompt, case.rephrased_prompt)
        assert case.strict_prompt in {other.other_prompt for other in suite.pictured}
    assert suite.pictured == file_suite("vlkeb", write(rows), images).pictured


def test_rows_that_leave_nothing_strict_to_ask(write, images) -> None:
    rows = [row(0, m_loc="m.1/a.png"), row(1, m_loc="m.0/a.png")]
    with pytest.raises(BadAnnotations, match=r"row 0 .*picture \(RI\)"):
        file_suite("vlkeb", write(rows), images)


def test_hops_and_their_facts_stand_beside_their_correction(write, images) -> None:
    rows = [
        row(0, port_new=[hop(0), hop(10)]), row(1, port_new=[]), row(2, port_new=[hop(2), hop(2)])
    ]  # fmt: skip
    suite = file_suite("vlkeb", write(rows), images)
    assert [case.owner for case in suite.hops] == [0, 0, 2, 2]
    assert [case.prompt for case in suite.texts] == [f"Who made {n}?" for n in (0, 10, 2)]
    (only,) = suite.groups(3, asked=1)
    assert (list(only.edited), list(only.probed)) == ([0, 1, 2], [0])
    assert (only.texts, only.hops) == ([0, 1, 2], [0, 1])
    first, second = suite.groups(2)
    assert (list(first.edited), first.texts, first.hops) == ([0, 1], [0, 1], [0, 1])
    assert (list(second.edited), second.texts, second.hops) == ([2], [2], [2, 3])


def test_a_run_of_files_with_portability(make_model, write, images, tmp_path) -> None:
    hops = {"port_new": [{"port_type": f"{n}-hop", "Q&A": {"Question": f"And {n}?", "Answer": "Anna"}} for n in (1, 2)]}  # fmt: skip  # noqa: E501
    suite = file_suite("vlkeb", write([row(0, **hops), row(1), row(2)]), images)
    summary = run_benchmark(
        make_model(), tmp_path / "out", suite, edits=(1,), cache=tmp_path / "cache",
        about={"annotations": "rows.json"}, max_new_tokens=3,
    )  # fmt: skip
    metrics = summary["runs"]["1"]["metrics"]
    assert metrics["rel"]["n"] == metrics["ri"]["n"] == 3
    assert (metrics["portability"]["n"], metrics["portability_1"]["n"]) == (2, 1)
    assert summary["annotations"] == "rows.json"
    records = [json.loads(line) for line in (tmp_path / "out" / "records-1.jsonl").open()]
    found = [record for record in records if record["metric"] == "portability"]
    assert [(record["group"], record["length"], record["prompt"]) for record in found] == [
        (0, 1, "And 1?"), (0, 2, "And 2?"),
    ]  # fmt: skip
    assert all(record["own"] > 0 for record in found), "the correction's own edit fires here"


def test_the_facts_of_hops_are_corrected_too(make_model, write, images, tmp_path) -> None:
    suite = file_suite("vlkeb", write([row(0, port_new=[hop(0)]), row(1)]), images)
    summary = run_benchmark(
        make_model(), tmp_path / "out", suite, edits=(2,), cache=tmp_path / "cache",
        max_new_tokens=3,
    )  # fmt: skip
    assert summary["runs"]["2"]["metrics"]["text_rel"]["n"] == 1
    assert "portability_1" not in summary["runs"]["2"]["metrics"]


@pytest.mark.skipif(not SHARED.exists(), reason="the published annotation files are not here")
@pytest.mark.parametrize(
    ("name", "file", "rows", "hops"),
    [
        ("e-ic", "easy-edit-mm/caption/caption_eval_edit.json", 1000, 0),
        ("vlkeb", "VLKEB/eval_edit_onehop.json", 1278, 1278),
    ],
)
def test_published_files_leave_every_row_something_strict(name, file, rows, hops) -> None:
    suite = file_suite(name, SHARED / file, Path("images"))
    assert (len(suite.pictured), len(suite.hops), len(suite.texts)) == (rows, hops, hops)
    assert {number for group in suite.groups(100) for number in group.hops} == set(range(hops))
    corrected = {(case.image, case.prompt) for case in suite.pictured}
    for case in suite.pictured:
        assert (case.strict_image, case.prompt) not in corrected
        assert (case.image, case.strict_prompt) not in corrected


def test_pictures_count_by_their_content(write, images) -> None:
    from liveedit.data import views

    (case, _), pictures = file_suite("vlkeb", write([row(0), row(1)]), images).pictured, images
    assert views_of(case, ("edit",))[0][0].size == (20, 20)
    before = digest([case], "more")
    assert digest([case], "more") == before != digest([case])
    Image.new("RGB", (5, 5)).save(pictures / "m.0" / "a.png")
    views._content.cache_clear()
    assert digest([case], "more") != before
