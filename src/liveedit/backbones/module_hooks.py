"""Hooks on modules inside the decoder: what a call changes there reaches no other call.

As :class:`liveedit.backbones.layer_hook.LayerHook`, for any number of modules, each by its path
under the decoder, and with what goes into the module beside what comes out of it. A module gets its
hook when it is first asked for, and keeps it as long as the backbone lives.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from liveedit.backbones.layer_hook import nothing
from liveedit.errors import ModelClosed

# from a module's input and output to what is passed on; None leaves it as it is
ModuleChange: TypeAlias = Callable[[Tensor, Tensor], Tensor | None]

_NONE: Mapping[str, ModuleChange] = MappingProxyType({})


class ModuleHooks:
    """Hooks on modules that take one tensor first, and return one.

    Args:
        decoder: The module whose parts are changed; its hooks go with this object.
    """

    def __init__(self, decoder: nn.Module) -> None:
        self._decoder = decoder
        self._changes: ContextVar[Mapping[str, ModuleChange]] = ContextVar("changes", default=_NONE)
        self._handles: dict[str, Any] = {}
        self._lock = Lock()
        self._removal = weakref.finalize(self, _remove, self._handles)

    def on(self, paths: Sequence[str]) -> None:
        """Make sure that some modules have their hooks.

        Raises:
            ModelClosed: The hooks were removed.
        """
        with self._lock:
            if not self._removal.alive:
                raise ModelClosed
            for path in paths:
                if path not in self._handles:
                    module = self._decoder.get_submodule(path)
                    hook = _Hook(self._changes, path)
                    self._handles[path] = module.register_forward_hook(hook)

    def remove(self) -> None:
        """Take all hooks off, for good."""
        with self._lock:
            self._removal()

    @contextmanager
    def changing(self, changes: Mapping[str, ModuleChange]) -> Iterator[None]:
        """Within this context, in this thread or task, outputs of some modules are changed.

        Contexts may be nested; what an inner one does not name stays as the outer one says.

        Args:
            changes: By the path of the module under the decoder.

        Raises:
            ModelClosed: The hooks were removed.
        """
        self.on(list(changes))
        token = self._changes.set({**self._changes.get(), **changes})
        try:
            yield
        finally:
            self._changes.reset(token)


class _Hook:
    """What a module calls; a copy of the model, or one that is pickled, has none of it."""

    def __init__(self, changes: ContextVar[Mapping[str, ModuleChange]], path: str) -> None:
        self._changes, self._path = changes, path

    @torch.compiler.disable  # a compiled model leaves its graph here, and finds this call's change
    def __call__(self, _module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Any:
        change = self._changes.get().get(self._path)
        return None if change is None else change(inputs[0] if inputs else output, output)

    def __reduce__(self) -> tuple[object, ...]:
        return nothing, ()


def _remove(handles: dict[str, Any]) -> None:
    for handle in handles.values():
        handle.remove()
    handles.clear()
