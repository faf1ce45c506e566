"""Which library has quantised a model's weights, and what is needed to read them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from liveedit.errors import LiveEditError, MissingExtra, MissingPackage

# module of the library, its name in configurations, its package, the extra that installs it
_LIBRARIES = (
    ("torchao", "torchao", "torchao", "torchao"),
    ("optimum.quanto", "quanto", "optimum-quanto", "quanto"),
    ("bitsandbytes", "bitsandbytes", "bitsandbytes", None),
)


def method_of(settings: Any) -> str | None:
    """Name of the library in a ``quantization_config``, as an object or as it is in a file."""
    if isinstance(settings, dict):
        method = settings.get("quant_method")
    else:
        method = getattr(settings, "quant_method", None)
    return None if method is None else str(getattr(method, "value", method))


def quantised_by(model: nn.Module) -> str | None:
    """Library that has quantised a model's weights, on loading or later; None if none has."""
    method = method_of(getattr(getattr(model, "config", None), "quantization_config", None))
    if method is not None:
        return method
    for module in model.modules():
        for one in (module, *module.parameters(recurse=False)):
            for library, name, _, _ in _LIBRARIES:
                if type(one).__module__.startswith(f"{library}."):
                    return name
    return None


def missing_library(settings: Any) -> LiveEditError | None:
    """What is to be raised if weights with this ``quantization_config`` cannot be read here."""
    method = method_of(settings)
    for library, name, package, extra in _LIBRARIES:
        if name == method and not _installed(library):
            if extra is None:
                return MissingPackage(package)
            return MissingExtra(package, extra=extra)
    return None


def rows_of(
    weight: Float[Tensor, "rows width"], ids: Int[Tensor, "*batch"]
) -> Float[Tensor, "*batch width"]:
    """Rows of a matrix that may be quantised, in plain numbers."""
    rows = weight[ids.reshape(-1).to(weight.device)]
    if type(rows) not in (Tensor, nn.Parameter):
        rows = rows.dequantize()
    return rows.reshape(*ids.shape, -1)


def _installed(library: str) -> bool:
    try:
        return find_spec(library) is not None
    except ModuleNotFoundError:  # of the package that it would be in
        return False
