"""Correct a vision-language model one answer at a time, without touching its weights.

>>> from liveedit import EditedModel
>>> model = EditedModel.from_pretrained("pocket")
>>> edit = model.edit("cat.png", "What is this?", "a lynx")
>>> model.generate("cat.png", "Which animal is it?")

What is listed in ``__all__`` is the public API; everything else may change without notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from liveedit.backbones.registry import load_backbone
    from liveedit.client import AsyncClient, Client
    from liveedit.correction import Correction
    from liveedit.editor import Conflict, EditedModel, EditOutcome, Explanation
    from liveedit.editor.rebase import rebase
    from liveedit.editor.verify import verify
    from liveedit.errors import LiveEditError
    from liveedit.methods.base import Abilities, Method
    from liveedit.methods.liveedit.config import EditorConfig, LiveEditConfig
    from liveedit.methods.registry import method_class, method_names
    from liveedit.methods.retrieval.config import RetrievalConfig
    from liveedit.store.edit import Edit
    from liveedit.store.memory import MemoryStore
    from liveedit.store.sql import SqlStore

__version__ = "0.1.0"
_HOMES = {
    "Abilities": "liveedit.methods.base",
    "AsyncClient": "liveedit.client",
    "Client": "liveedit.client",
    "Conflict": "liveedit.editor",
    "Correction": "liveedit.correction",
    "Edit": "liveedit.store.edit",
    "EditOutcome": "liveedit.editor",
    "EditedModel": "liveedit.editor",
    "EditorConfig": "liveedit.methods.liveedit.config",
    "Explanation": "liveedit.editor",
    "LiveEditConfig": "liveedit.methods.liveedit.config",
    "LiveEditError": "liveedit.errors",
    "MemoryStore": "liveedit.store.memory",
    "Method": "liveedit.methods.base",
    "RetrievalConfig": "liveedit.methods.retrieval.config",
    "SqlStore": "liveedit.store.sql",
    "load_backbone": "liveedit.backbones.registry",
    "method_class": "liveedit.methods.registry",
    "method_names": "liveedit.methods.registry",
    "rebase": "liveedit.editor.rebase",
    "verify": "liveedit.editor.verify",
}
__all__ = [
    "Abilities",
    "AsyncClient",
    "Client",
    "Conflict",
    "Correction",
    "Edit",
    "EditOutcome",
    "EditedModel",
    "EditorConfig",
    "Explanation",
    "LiveEditConfig",
    "LiveEditError",
    "MemoryStore",
    "Method",
    "RetrievalConfig",
    "SqlStore",
    "__version__",
    "errors",
    "load_backbone",
    "method_class",
    "method_names",
    "rebase",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used, so that importing the package does no work."""
    from importlib import import_module

    if name == "errors":
        return import_module("liveedit.errors")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """The public names, for completion."""
    return sorted(__all__)
