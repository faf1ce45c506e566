"""``liveedit bench cost``: a file beside a run's, and the same in words."""

from __future__ import annotations

import json
import sys

import pytest

from liveedit import cli


def test_costs_are_written_and_told(tiny_folder, tmp_path, monkeypatch, capsys) -> None:
    out = tmp_path / "made" / "out"
    arguments = [
        "bench", "cost", "--method", "grace", "--model", str(tiny_folder), "--edits", "2",
        "--split", "validation", "--out", str(out),
    ]  # fmt: skip
    monkeypatch.setattr(sys, "argv", ["liveedit", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    told = capsys.readouterr().out
    found = json.loads((out / "cost.json").read_text())
    assert (found["method"], found["edits"], found["split"]) == ("grace", 2, "validation")
    assert found["revoke"].keys() == {"0"}, "none was made ten edits ago"
    assert f"{found['prefill']['ratio']:.2f} times" in told
    assert "taking an edit back, 0 made after it" in told
