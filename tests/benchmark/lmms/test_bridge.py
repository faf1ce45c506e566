"""lmms-eval through the bridge: in its own environment where there is one, else the wire alone."""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from pathlib import Path

import pytest
from PIL import Image

from liveedit.benchmark.lmms import bridge
from liveedit.errors import LmmsEvalFailed

PYTHON = os.environ.get("LIVEEDIT_LMMS_PYTHON")
HERE = Path(__file__).parent
ASKED = [("red", "What is this?"), ("blue", "And this?"), ("", "Who are you?"), ("green", "Hm?")]


@pytest.fixture
def alone(make_model) -> list[str]:
    """The model's own answers."""
    model = make_model()
    return [
        model.generate(
            Image.new("RGB", (40, 30), colour) if colour else None, prompt, max_new_tokens=4
        ).split("\n")[0]
        for colour, prompt in ASKED
    ]


@pytest.mark.skipif(
    PYTHON is None, reason="set LIVEEDIT_LMMS_PYTHON to a Python that has lmms-eval"
)
def test_a_task_is_answered_by_the_model(make_model, alone, tmp_path) -> None:
    wrong = "certainly not this"
    rows = [
        {"colour": colour, "question": prompt, "answer": wrong if number == 3 else answer}
        for number, ((colour, prompt), answer) in enumerate(zip(ASKED, alone, strict=True))
    ]
    lines = (json.dumps(row) + "\n" for row in rows)
    (tmp_path / "questions.jsonl").write_text("".join(lines))
    task = (HERE / "tiny.yaml").read_text().replace("@FOLDER@", str(tmp_path))
    (tmp_path / "tiny.yaml").write_text(task)
    (tmp_path / "utils.py").write_text((HERE / "utils.py").read_text())
    model = make_model()
    found = bridge.run_tasks(model, PYTHON or "", ["liveedit_tiny"], include=tmp_path)
    assert found["liveedit_tiny"]["same,none"] == 0.75


def test_questions_over_the_wire_get_the_models_own_answers(make_model, alone) -> None:
    """The driver's side of the wire is played by hand."""
    ours, theirs = socket.socketpair()
    asked = [
        {
            "image": encoded(Image.new("RGB", (40, 30), colour)) if colour else None,
            "prompt": prompt,
            "max_new_tokens": 4 if colour else 2,
        }
        for colour, prompt in ASKED
    ]
    given: list[list[str]] = []

    def ask() -> None:
        with theirs, theirs.makefile("rw", encoding="utf-8") as wire:
            for some in (asked[:3], asked[3:]):
                wire.write(json.dumps({"ask": some}) + "\n")
                wire.flush()
                given.append(json.loads(wire.readline())["answers"])
            wire.write(json.dumps({"results": {"task": {"score": 1}}}) + "\n")

    thread = threading.Thread(target=ask)
    thread.start()
    with ours:
        assert bridge._serve(make_model(), ours, "task") == {"task": {"score": 1}}
    thread.join()
    assert [len(some) for some in given] == [3, 1]
    found = [answer.split("\n")[0] for some in given for answer in some]
    assert [found[at] for at in (0, 1, 3)] == [alone[at] for at in (0, 1, 3)]
    assert found[2] == make_model().generate(None, ASKED[2][1], max_new_tokens=2)


def encoded(picture: Image.Image) -> str:
    import base64
    import io

    file = io.BytesIO()
    picture.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.mark.parametrize(
    ("python", "problem"),
    [("/no/such/python", "cannot be started"), (sys.executable, "lmms_eval")],
)
def test_without_lmms_eval_it_is_said_what_to_do(make_model, python, problem) -> None:
    with pytest.raises(LmmsEvalFailed, match=rf"(?s){problem}.*pip install lmms-eval"):
        bridge.run_tasks(make_model(), python, ["pope"])
