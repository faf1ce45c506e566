"""Notices when a model no longer computes with the weights that it was wrapped with."""

from __future__ import annotations

from torch import Tensor, nn

from liveedit.backbones.adapters import Adapter, adapter_in_force, merged_now, switches
from liveedit.backbones.memory_revision import memory_revision
from liveedit.errors import ModelChanged


class ModelWatch:
    """What a model is compared with before it answers with edits.

    Samples are compared only where an adapter was switched or a tensor was written to: a look that
    finds nothing takes a millisecond or two.

    Args:
        model: The model as edits are made for it.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._adapter, self._weights = adapter_in_force(model), memory_revision(model)
        self._merged = merged_now(model)
        self._seen = _marks(model)

    def check(self) -> None:
        """Make sure that edits still fit.

        Raises:
            ModelChanged: The model is in training mode, another adapter is in force, or its weights
                are others.
        """
        model = self._model
        if model.training:
            raise ModelChanged(
                "the model is in training mode, where dropout and the like change its answers",
                instead="call model.eval() first",
            )
        marks = _marks(model)
        if marks == self._seen:
            return
        adapter = adapter_in_force(model)
        if adapter != self._adapter:
            raise ModelChanged(
                f"the model was wrapped or loaded with {_told(self._adapter)}, and has "
                f"{_told(adapter)} in force now",
                instead="switch back, or wrap it anew with a store of its own",
            )
        # an adapter that is merged or not is the same but for rounding, and its weights are others
        if merged_now(model) == self._merged and memory_revision(model) != self._weights:
            raise ModelChanged(
                "the model's weights were changed after it was wrapped or loaded",
                instead="wrap it anew with a store of its own",
            )
        self._seen = marks


def _told(adapter: Adapter | None) -> str:
    if adapter is None:
        return "no adapter"
    return f"the adapter {adapter}" if len(adapter.names) == 1 else f"the adapters {adapter}"


def _marks(model: nn.Module) -> tuple[object, ...]:
    """Changes whenever an adapter is switched or a weight is written to."""
    return switches(model), [_version(one) for one in model.parameters()]


def _version(tensor: Tensor) -> tuple[int, int]:
    if tensor.device.type == "meta" or tensor.is_inference():
        return 0, 0
    return id(tensor), tensor._version
