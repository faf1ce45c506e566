"""Evaluation mode for as long as anybody needs it; then every module is as it was found."""

from __future__ import annotations

from threading import Lock
from weakref import WeakKeyDictionary, WeakSet

from torch import nn

_holders: WeakKeyDictionary[nn.Module, int] = WeakKeyDictionary()
_training: WeakKeyDictionary[nn.Module, WeakSet[nn.Module]] = WeakKeyDictionary()
_lock = Lock()


def hold_evaluation_mode(model: nn.Module) -> None:
    """Put a model into evaluation mode, as :func:`release_evaluation_mode` will undo."""
    with _lock:
        if not _holders.get(model):
            _training[model] = WeakSet(module for module in model.modules() if module.training)
        _holders[model] = _holders.get(model, 0) + 1
        model.eval()


def release_evaluation_mode(model: nn.Module) -> None:
    """The last to let go puts back into training mode what was in it."""
    with _lock:
        _holders[model] -= 1
        if not _holders[model]:
            for module in _training.pop(model):
                module.training = True
            del _holders[model]
