"""Correct a vision-language model one answer at a time, without touching its weights.

>>> from liveedit import EditedModel
>>> model = EditedModel.from_pretrained("pocket")
>>> edit = model.edit("cat.png", "What is this?", "a lynx")
>>> model.generate("cat.png", "Which animal is it?")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liveedit.correction import Correction
    from liveedit.editor import EditedModel

__version__ = "0.1.0"
__all__ = ["Correction", "EditedModel", "__version__"]
_HOMES = {"EditedModel": "liveedit.editor", "Correction": "liveedit.correction"}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing the package does no work."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
