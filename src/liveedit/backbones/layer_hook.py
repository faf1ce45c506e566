"""The hook on the edit layer: what a call changes there reaches no other call.

There is one hook for as long as the backbone lives. What it does with the layer's output is a
context variable of the running call, so that threads, tasks and callers of the bare model find
nothing of each other's; a forward pass that no call of ours began is bit-identical.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor, nn

from liveedit.errors import ModelClosed

Change = Callable[[Tensor], Tensor | None]


class StopForward(Exception):
    """Ends a forward pass once the wanted states are there."""


class LayerHook:
    """A hook on a decoder layer that returns one tensor.

    Args:
        layer: The layer; the hook goes with this object.
    """

    def __init__(self, layer: nn.Module) -> None:
        self._change: ContextVar[Change | None] = ContextVar("change", default=None)
        handle = layer.register_forward_hook(_Hook(self._change))
        self._removal = weakref.finalize(self, handle.remove)

    def remove(self) -> None:
        """Take the hook off the layer, for good."""
        self._removal()

    @contextmanager
    def changing(self, change: Change) -> Iterator[None]:
        """Within this context, in this thread or task, the layer's output is changed.

        Contexts may be nested; the innermost counts.

        Args:
            change: From the layer's output to what is passed on; None leaves it as it is.

        Raises:
            ModelClosed: The hook was removed.
        """
        if not self._removal.alive:
            raise ModelClosed
        token = self._change.set(change)
        try:
            yield
        finally:
            self._change.reset(token)


class _Hook:
    """What the layer calls; a copy of the model, or one that is pickled, has none of it."""

    def __init__(self, change: ContextVar[Change | None]) -> None:
        self._change = change

    @torch.compiler.disable  # a compiled model leaves its graph here, and finds this call's change
    def __call__(self, _module: nn.Module, _inputs: object, output: Tensor) -> Tensor | None:
        change = self._change.get()
        return None if change is None else change(output)

    def __reduce__(self) -> tuple[object, ...]:
        return nothing, ()


def nothing() -> Callable[..., None]:
    """What is in place of a hook in a copy of a model, or in one that was pickled."""
    return _leave


def _leave(*_: object) -> None:
    """In place of the hook in a copy."""
