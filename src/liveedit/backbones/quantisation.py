"""Which library has quantised a model's weights, and what is needed to read them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn

from liveedit.errors import BadCheckpoint, MissingExtra, MissingPackage

# module of the library, its name in configurations, its package, the extra that installs it
_LIBRARIES = (
    ("torchao", "torchao", "torchao", "torchao"),
    ("optimum.quanto", "quanto", "optimum-quanto", "quanto"),
    ("bitsandbytes", "bitsandbytes", "bitsandbytes", None),
)

_QUANTO_FILE = "quanto_qmap.json"  # beside weights that quanto itself has written


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


def described(settings: Any) -> str:
    """A ``quantization_config`` in a few words: the library, and what it says of the kind."""
    plain = settings if isinstance(settings, dict) else settings.to_dict()
    kind = plain.get("quant_type")
    if isinstance(kind, dict):  # as torchao is written
        kind = kind.get("default", {}).get("_type")
    bits = [f"{name} bits" for name in ("4", "8") if plain.get(f"load_in_{name}bit")]
    bits += [f"{plain['bits']} bits"] if plain.get("bits") else []
    more = [str(one) for one in (kind, plain.get("weights"), *bits) if one]
    return f"{method_of(settings)} ({', '.join(more)})" if more else str(method_of(settings))


def check_readable(folder: Path, settings: Any = None) -> None:
    """Refuse quantised weights that cannot be read here, before any is.

    Args:
        folder: Of the model.
        settings: Its ``quantization_config``, if it has one.

    Raises:
        MissingExtra, MissingPackage: A library is not installed.
        BadCheckpoint: They are in a form that transformers does not read.
    """
    if (folder / _QUANTO_FILE).is_file():
        raise BadCheckpoint(
            f"{folder} was saved by quanto in a form that transformers does not read; load the "
            "model that it was made from with quantization_config=QuantoConfig(weights=...), or "
            "load this one with optimum.quanto and wrap it: EditedModel.wrap"
        )
    method = method_of(settings)
    for library, name, package, extra in _LIBRARIES:
        if name == method and not _installed(library):
            if extra is None:
                raise MissingPackage(package)
            raise MissingExtra(package, extra=extra)


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
