"""The public API: what it is, and that importing it does no work."""

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


PUBLIC = """
    Abilities AsyncClient Client Conflict Correction Edit EditOutcome EditedModel EditorConfig
    Explanation LiveEditConfig LiveEditError MemoryStore Method RetrievalConfig SqlStore
    __version__ errors
    load_backbone method_class method_names rebase verify
"""


def test_the_public_names_are_these():
    """Whoever changes them says so in CHANGELOG.md."""
    assert sorted(liveedit.__all__) == sorted(PUBLIC.split())
    assert dir(liveedit) == sorted(liveedit.__all__)


def test_all_errors_are_public():
    from liveedit import errors

    found = {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert len(found) > 30
    assert all(issubclass(kind, errors.LiveEditError) for kind in found.values())


def test_public_names_can_be_used():
    assert all(getattr(liveedit, name) for name in liveedit.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        getattr(liveedit, "no_such_name")  # noqa: B009
