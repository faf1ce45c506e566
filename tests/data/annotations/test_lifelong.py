"""MMKE-Bench and ComprehendEdit, in the formats that their authors describe."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from liveedit.benchmark.suite import file_suite
from liveedit.data.annotations.comprehendedit import parse_comprehendedit
from liveedit.data.annotations.datasets import COMPREHENDEDIT, MMKE_BENCH
from liveedit.data.annotations.fields import Fields
from liveedit.data.annotations.mmke_bench import parse_mmke_bench
from liveedit.data.annotations.templates import apply_template
from liveedit.data.resaving import Resaved
from liveedit.data.sources import corrections_of
from liveedit.data.views import seen
from tests.data.annotations.samples import comprehendedit_row, mmke_bench_row, multi_hop


@pytest.mark.parametrize(
    ("source", "prompt"),
    [
        ("GQA", "Question: What is bird 3 called? Short answer:"),
        ("TallyQA", "Question: What is bird 3 called? Answer with a number. Short answer:"),
        (
            "VSR",
            "Question: Is this description true or false? Description: What is bird 3 called? "
            "Short answer:",
        ),
    ],
)
def test_what_is_said_beside_a_question_of_comprehendedit(source: str, prompt: str) -> None:
    fields = Fields(comprehendedit_row(3, source=source))
    row = apply_template(parse_comprehendedit(0, fields), COMPREHENDEDIT.template)
    assert fields.problems == []
    assert row.prompt == prompt
    assert row.rephrased_prompt == prompt.replace(
        "What is bird 3 called?", "What is the name of bird 3?"
    )
    assert row.target == "parrot 3"
    assert row.text_locality.question == "when was book 3 written?"
    assert row.image_locality.question == "Question: What sport is this? Short answer:"


def test_what_is_wrong_with_a_row() -> None:
    for name in ("question", "answer", "source", "multimodal_locality_image"):
        row = comprehendedit_row()
        del row[name]
        fields = Fields(row)
        parse_comprehendedit(0, fields)
        assert fields.problems == [f"field {name!r} is missing"]
    fields = Fields(mmke_bench_row(knowledge_type="hearsay"))
    parse_mmke_bench(0, fields)
    (problem,) = fields.problems
    assert problem.startswith("field 'knowledge_type' is none of entity_level, ")


def test_hops_of_mmke_bench() -> None:
    fields = Fields(mmke_bench_row(port_new=[multi_hop(1)]))
    row = apply_template(parse_mmke_bench(0, fields), MMKE_BENCH.template)
    assert fields.problems == []
    assert row.prompt == "Question: What city is shown? Short answer:"
    assert [hop.length for hop in row.portability] == [1]
    assert row.portability[0].question.startswith("Question: ")
    assert row.concepts == frozenset()


@pytest.mark.parametrize(
    ("name", "make", "again"),
    [("comprehendedit", comprehendedit_row, True), ("mmke-bench", mmke_bench_row, False)],
)
def test_a_suite_of_them(name: str, make, again: bool, tmp_path: Path) -> None:
    rows = [make(number) for number in range(4)]
    rows = [row | {key: f"{row[key]} ({at})" for key in ("m_loc_q", "multimodal_locality_prompt")
                   if key in row} for at, row in enumerate(rows)]  # fmt: skip
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(rows))
    paths = {value for row in rows for value in row.values() if str(value).endswith(".jpg")}
    for at, path in enumerate(sorted(paths)):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20 + at, 20), (9 * at, 90, 30)).save(tmp_path / path)
    suite = file_suite(name, file, tmp_path)
    assert [case.target for case in suite.pictured] == [
        row.get("answer", row.get("alt")) for row in rows
    ]
    for case in suite.pictured:
        shown, prompt = seen(case, "redrawn")
        assert isinstance(shown, Resaved) == again
        assert prompt == case.prompt
        assert case.strict_image != case.image
    stated = corrections_of(file, None)
    assert [row.target for row in stated] == [case.target for case in suite.pictured]
    assert all(bool(row.other_images) != again for row in stated)
