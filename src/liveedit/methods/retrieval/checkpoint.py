"""What retrieval was calibrated to: thresholds as JSON, centres of the keys as safetensors."""

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

CONFIG_FILE, CENTRES_FILE = "config.json", "retrieval.safetensors"
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
    calibrated: Calibrated, fingerprint: Mapping[str, object], folder: Path
) -> None:
    """Write it; files appear whole or not at all.

    Args:
        calibrated: What was found.
        fingerprint: Of the backbone it is for.
        folder: Made if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    centres = {"vision": calibrated.vision_centre, "prompt": calibrated.prompt_centre}
    with whole(folder / CENTRES_FILE) as part:
        save_file({name: centre.contiguous() for name, centre in centres.items()}, part)
    described = {
        "format": _FORMAT,
        "method": "retrieval",
        "backbone": dict(fingerprint),
        "thresholds": {
            "vision": calibrated.vision, "prompt": calibrated.prompt, "text": calibrated.text
        },
    }  # fmt: skip
    write_whole(folder / CONFIG_FILE, json.dumps(described, indent=2) + "\n")


def load_calibrated(folder: Path, fingerprint: Mapping[str, object]) -> Calibrated:
    """Read it.

    Raises:
        BadCheckpoint: It is something else, damaged, or of another format.
        BackboneMismatch: It is for another backbone.
    """
    try:
        described = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if described.get("method") != "retrieval" or described["format"] != _FORMAT:
            raise BadCheckpoint(
                f"{folder} holds no thresholds of retrieval that this version reads; make them "
                "with: liveedit train --method retrieval"
            )
        thresholds = {name: float(value) for name, value in described["thresholds"].items()}
        centres = load_file(folder / CENTRES_FILE)
        calibrated = Calibrated(
            vision_centre=centres["vision"], prompt_centre=centres["prompt"], **thresholds
        )
    except (OSError, KeyError, TypeError, ValueError, AttributeError, SafetensorError) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadCheckpoint(
            f"{folder} cannot be read ({problem}); make it with: liveedit train --method retrieval"
        ) from error
    check_fingerprint(described["backbone"], fingerprint)
    return calibrated
