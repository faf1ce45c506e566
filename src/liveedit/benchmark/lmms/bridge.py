"""This side of lmms-eval: starts it with another Python, and answers its questions."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tqdm import tqdm

from liveedit.editor import EditedModel
from liveedit.errors import LmmsEvalFailed

_DRIVER = Path(__file__).with_name("driver.py")


def run_tasks(
    model: EditedModel,
    python: str | Path,
    tasks: Sequence[str],
    *,
    include: Path | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """Evaluate the model, with the edits it has, on tasks of lmms-eval.

    Args:
        model: Who answers.
        python: Interpreter of an environment that has lmms-eval.
        tasks: Their names, such as ``pope``.
        include: Folder of further task definitions.
        limit: Only the first questions of each task.

    Returns:
        lmms-eval's ``results``: by task, what it measures.

    Raises:
        LmmsEvalFailed: It could not be started, or failed; with the end of what it printed.
    """
    settings = {"tasks": list(tasks), "include": include and str(include), "limit": limit}
    ours, theirs = socket.socketpair()
    with ours, TemporaryFile() as printed:
        with theirs:
            command = [str(python), str(_DRIVER), str(theirs.fileno()), json.dumps(settings)]
            try:
                running = subprocess.Popen(
                    command, pass_fds=[theirs.fileno()], stdout=printed, stderr=subprocess.STDOUT
                )
            except OSError as error:
                raise LmmsEvalFailed(f"{python} cannot be started ({error.strerror})") from error
        try:
            found = _serve(model, ours, ", ".join(tasks))
        finally:
            running.terminate()
            running.wait()
        if found is None:
            printed.seek(0)
            raise LmmsEvalFailed(printed.read().decode(errors="replace").strip()[-1000:])
    return found


def _serve(model: EditedModel, wire: socket.socket, title: str) -> dict[str, Any] | None:
    """Answer until the results come; None if the other side hangs up before."""
    with wire.makefile("rw", encoding="utf-8") as lines, tqdm(desc=title, unit="question") as bar:
        for line in lines:
            message = json.loads(line)
            if "error" in message:
                raise LmmsEvalFailed(message["error"])
            if "results" in message:
                results: dict[str, Any] = message["results"]
                return results
            lines.write(json.dumps({"answers": _answers(model, message["ask"])}) + "\n")
            lines.flush()
            bar.update(len(message["ask"]))
    return None


def _answers(model: EditedModel, asked: Sequence[dict[str, Any]]) -> list[str]:
    answers = [""] * len(asked)
    for tokens in {one["max_new_tokens"] for one in asked}:
        rows = [row for row, one in enumerate(asked) if one["max_new_tokens"] == tokens]
        given = model.generate(
            [_picture(asked[row]["image"]) for row in rows],
            [asked[row]["prompt"] for row in rows],
            max_new_tokens=tokens,
        )
        for row, answer in zip(rows, given, strict=True):
            answers[row] = answer
    return answers


def _picture(encoded: str | None) -> bytes | None:
    return None if encoded is None else base64.b64decode(encoded)
