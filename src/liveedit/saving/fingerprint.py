"""The fingerprint of a backbone, which guards every checkpoint and every store made for it."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liveedit.errors import BackboneMismatch

logger = logging.getLogger(__name__)

# what may differ: the numbers then differ a little, the model is the same
_LENIENT = ("dtype", "processor")
# says nothing of the model itself where the weights are known
_NAME = "backbone"
# an adapter of PEFT in force: other weights for a store; an editor verifies each edit, and goes on
_ADAPTER = "adapter"
_VOLATILE = (
    "transformers_version", "_name_or_path", "dtype", "torch_dtype", "quantization_config",
    "architectures", "use_cache",
)  # fmt: skip
_SAMPLES, _SAMPLE = 64, 4096  # of each file of weights


def check_fingerprint(expected: Mapping[str, object], found: Mapping[str, object]) -> None:
    """Compare what a checkpoint was made for with a backbone, as far as both say.

    Another dtype, another library that resizes pictures or another adapter is only warned of.

    Raises:
        BackboneMismatch: Anything else differs.
    """
    both = {
        name
        for name in expected.keys() & found.keys()
        if expected[name] is not None and found[name] is not None
    }
    if "weights" in both:
        both.discard(_NAME)
    both.discard(_ADAPTER)
    if expected.get(_ADAPTER) != found.get(_ADAPTER):
        logger.warning(
            "the editor was made with %s, this model has %s: each edit is verified, but which "
            "questions it concerns is judged less well than by an editor made for this model",
            _adapter(expected), _adapter(found),
        )  # fmt: skip
    differing = {name for name in both if expected[name] != found[name]}
    if differing - set(_LENIENT):
        raise BackboneMismatch(
            expected={name: expected[name] for name in both},
            found={name: found[name] for name in both},
        )
    for name in sorted(differing):
        logger.warning(
            "the editor was made with %s %s, this model has %s: scores differ a little",
            name, expected[name], found[name],
        )  # fmt: skip


def _adapter(fingerprint: Mapping[str, object]) -> str:
    digest = fingerprint.get(_ADAPTER)
    return "no adapter" if digest is None else f"the adapter {digest}"


def other_numbers(expected: Mapping[str, object], found: Mapping[str, object]) -> tuple[str, ...]:
    """What differs between two fingerprints of the same model, in other numbers.

    Returns:
        Names among dtype (precision, quantisation) and processor; empty if nothing differs, or if
        anything else does.
    """
    names = expected.keys() | found.keys()
    differing = sorted(name for name in names if expected.get(name) != found.get(name))
    return tuple(differing) if set(differing) <= set(_LENIENT) else ()


def config_digest(config: Any) -> str:
    """Digest of a model's configuration without what says nothing of the model."""
    text = json.dumps(_stable(config.to_diff_dict()), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def weights_revision(folder: Path) -> str | None:
    """Digest of a folder's weights: headers, sizes and samples of all files; None without any.

    Samples are 64 pieces of 4 KB, evenly spread: it takes no longer for 70 GB than for 1, and tells
    apart what training changed.
    """
    files = sorted(folder.glob("*.safetensors"))
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name} {size}".encode())
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
            digest.update(file.read(min(header, size)))
            for number in range(_SAMPLES):
                file.seek(max(size - _SAMPLE, 0) * (number + 1) // _SAMPLES)
                digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:16] if files else None


def _stable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _stable(own) for name, own in value.items() if name not in _VOLATILE}
    return value
