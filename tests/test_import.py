"""`import liveedit` does no work: a command that only prints help should answer at once."""

import json
import subprocess
import sys

import pytest

import liveedit

PROBE = """
import json, sys, time
began = time.perf_counter()
import liveedit
seconds = time.perf_counter() - began
print(json.dumps({"seconds": seconds, "modules": sorted(sys.modules)}))
"""


def test_import_is_quick_and_loads_no_heavy_library():
    run = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    heavy = {"torch", "transformers", "numpy", "PIL", "pydantic", "safetensors"}
    assert not heavy & set(found["modules"])
    assert found["seconds"] < 0.3


def test_public_names_can_be_used():
    assert all(getattr(liveedit, name) for name in liveedit.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(liveedit, "no_such_name")  # noqa: B009
