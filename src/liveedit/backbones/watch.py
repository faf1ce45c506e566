"""Notices when a model no longer computes with the weights that it was wrapped with."""

from __future__ import annotations

from torch import Tensor, nn

from liveedit.backbones.adapters import Adapter, adapter_in_force, merged_now, switches
from liveedit.backbones.memory_revision import memory_revision
from liveedit.errors import ModelChanged


class ModelWatch:
    """What a model is compared with before it answers with edits.

    Samples are compared only where an adapter was switched or a tensor was written to: a look that
    finds nothing takes less than a millisecond.

    Args:
        model: The model as edits are made for it.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._adapter, self._weights = adapter_in_force(model), memory_revision(model)
        self._merged = merged_now(model)
        self._tensors = _Weights(model)
        self._seen = self._marks()

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
        marks = self._marks()
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
        self._tensors = _Weights(model)
        self._seen = self._marks()

    def _marks(self) -> tuple[object, ...]:
        return switches(self._model), self._tensors.marks()


def _told(adapter: Adapter | None) -> str:
    if adapter is None:
        return "no adapter"
    return f"the adapter {adapter}" if len(adapter.names) == 1 else f"the adapters {adapter}"


class _Weights:
    """The tensors of a model, and whether they are still those.

    Every query comes by here: what holds modules and parameters is looked up once, which takes a
    fifth of ``model.parameters()``.
    """

    def __init__(self, model: nn.Module) -> None:
        modules = list(model.modules())
        self._children = [module._modules for module in modules if module._modules]
        self._tensors = [module._parameters for module in modules if module._parameters]

    def marks(self) -> tuple[list[nn.Module | None], list[tuple[int, int]]]:
        """Changes whenever a module is exchanged, or a weight is or is written to."""
        children = [one for some in self._children for one in some.values()]
        tensors = [
            _version(one) for some in self._tensors for one in some.values() if one is not None
        ]
        return children, tensors


def _version(tensor: Tensor) -> tuple[int, int]:
    if tensor.is_meta or tensor.is_inference():
        return 0, 0
    return id(tensor), tensor._version
