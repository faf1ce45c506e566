"""What a memory was calibrated to: thresholds as JSON, centres of its keys as safetensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from liveedit.errors import BadCheckpoint
from liveedit.saving.files import whole, write_whole
from liveedit.saving.fingerprint import check_fingerprint

CONFIG_FILE = "config.json"
_FORMAT = 1


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What queries and edits are compared with.

    Args:
        vision_centre: Mean picture, which is taken off every picture's key.
        prompt_centre: Mean question embedding.
        vision: What the cosine of two pictures must exceed.
        prompt: What the cosine of two questions about pictures must exceed.
        text: The same of two questions without a picture.
    """

    vision_centre: Float[Tensor, " width"]
    prompt_centre: Float[Tensor, " sentence"]
    vision: float
    prompt: float
    text: float

    @property
    def digest(self) -> str:
        """SHA-256 of all of it, the first 16 hexadecimal digits."""
        found = hashlib.sha256(json.dumps([self.vision, self.prompt, self.text]).encode())
        for centre in (self.vision_centre, self.prompt_centre):
            found.update(centre.numpy().tobytes())
        return found.hexdigest()[:16]


def save_calibrated(
    calibrated: Calibrated, fingerprint: Mapping[str, object], folder: Path, *, method: str
) -> None:
    """Write it; files appear whole or not at all.

    Args:
        calibrated: What was found.
        fingerprint: Of the backbone it is for.
        folder: Made if missing.
        method: Name of the method it is for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    centres = {"vision": calibrated.vision_centre, "prompt": calibrated.prompt_centre}
    with whole(folder / f"{method}.safetensors") as part:
        save_file({name: centre.contiguous() for name, centre in centres.items()}, part)
    described = {
        "format": _FORMAT,
        "method": method,
        "backbone": dict(fingerprint),
        "thresholds": {
            "vision": calibrated.vision, "prompt": calibrated.prompt, "text": calibrated.text
        },
    }  # fmt: skip
    write_whole(folder / CONFIG_FILE, json.dumps(described, indent=2) + "\n")


def load_calibrated(folder: Path, fingerprint: Mapping[str, object], *, method: str) -> Calibrated:
    """Read it.

    Raises:
        BadCheckpoint: It is something else, damaged, or of another format.
        BackboneMismatch: It is for another backbone.
    """
    try:
        described = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if described.get("method") != method or described["format"] != _FORMAT:
            raise BadCheckpoint(
                f"{folder} holds no thresholds of {method} that this version reads; make them "
                f"with: liveedit train --method {method}"
            )
        thresholds = {name: float(value) for name, value in described["thresholds"].items()}
        centres = load_file(folder / f"{method}.safetensors")
        calibrated = Calibrated(
            vision_centre=centres["vision"], prompt_centre=centres["prompt"], **thresholds
        )
    except (OSError, KeyError, TypeError, ValueError, AttributeError, SafetensorError) as error:
        raise unreadable(folder, error, method) from error
    check_fingerprint(described["backbone"], fingerprint)
    return calibrated


def unreadable(folder: Path, error: Exception, method: str) -> BadCheckpoint:
    """What is said of a folder that is not what a method needs."""
    problem = str(error).splitlines()[0] if str(error) else type(error).__name__
    return BadCheckpoint(
        f"{folder} cannot be read ({problem}); make it with: liveedit train --method {method}"
    )
