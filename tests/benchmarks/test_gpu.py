"""The benchmark for GPUs runs on a CPU, too, with tiny models."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"
# nothing is routed without edits, no step is taken without refinement, both sides may agree wholly
_MAY_BE_ZERO = {
    "edits", "edits_wanted", "routed", "steps", "routing_weight", "extracted_weight",
    "made", "right", "not_reached",
}  # fmt: skip
_DIFFERENCES = {"decode", "decode_ms"}  # of two times, which noise may turn round


def _run(folder: Path, *more: str) -> dict:
    command = [sys.executable, str(_SCRIPT), "--out", str(folder), "--tiny", "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def _figures(found: object, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(found, dict):
        for key, value in found.items():
            yield from _figures(value, key)
    elif isinstance(found, list):
        for value in found:
            yield from _figures(value, name)
    elif isinstance(found, int | float) and not isinstance(found, bool):
        yield name, found


def test_everything_is_measured(tmp_path: Path) -> None:
    for name in ("gpu.json", "gpu.md"):
        (tmp_path / name).write_text("of an earlier run")
    found = _run(tmp_path)
    assert json.loads((tmp_path / "gpu.json").read_text()) == found
    assert found["device"] == "CPU"
    assert found["skipped"] == found["failed"] == []
    assert list(found["models"]) == ["llava-1.5-7b", "qwen2.5-vl-7b"]
    for one in found["models"].values():
        for name, value in _figures(one):
            assert math.isfinite(value), name
            assert value > 0 or name in _DIFFERENCES or (name in _MAY_BE_ZERO and value == 0), name
        edits = [row["edits"] for row in one["answers"]]
        assert edits == [0, 0, 10, 10, 100, 100, 1000, 1000]
        assert all(row["routed"] >= 1 for row in one["answers"] if row["edits"])
        assert [row["batch"] for row in one["edits"]] == [1, 1, 3, 3]
        assert all(row["steps"] > 0 for row in one["edits"] if row["refined"])
        assert one["agreement"]["routing_percent"] >= 99.9
        assert one["agreement"]["extracted_percent"] >= 99.9
        assert {"calibration", "ours", "published"} <= one.keys()
        rebased = one["rebasing"]
        outcomes = (rebased[name] for name in ("made", "right", "not_reached"))
        assert sum(outcomes) == rebased["corrections"]
    assert all(phase["seconds"] > 0 and phase["peak_bytes"] > 0 for phase in found["phases"])
    told = (tmp_path / "gpu.md").read_text()
    assert told.startswith("## On CPU\n")
    assert "(not measured)" not in told
    assert {path.name for path in tmp_path.iterdir()} == {"gpu.json", "gpu.md"}


def test_without_time_phases_are_skipped_and_told(tmp_path: Path) -> None:
    found = _run(tmp_path, "--minutes", "0")
    assert found["models"] == {}
    assert [one["model"] for one in found["skipped"]] == ["llava-1.5-7b", "qwen2.5-vl-7b"]
    assert "Skipped" in (tmp_path / "gpu.md").read_text()


@pytest.mark.thorough
def test_a_quantised_decoder(tmp_path: Path) -> None:
    """By torchao; those of bitsandbytes want a GPU."""
    pytest.importorskip("torchao", reason="torchao is not installed")
    found = _run(tmp_path, "--models", "llava-1.5-7b", "--quantise", "torchao-int8")
    assert found["failed"] == []
    one = found["models"]["llava-1.5-7b"]
    assert one["dtype"].endswith(", torchao")
    assert all(row["prefill"] > 0 for row in one["answers"])
