"""A trained network of MEND: its sizes as JSON, its weights as safetensors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from liveedit.errors import BadCheckpoint
from liveedit.methods.mend.config import MendConfig, MendNetworkConfig
from liveedit.methods.mend.network import MendNetwork
from liveedit.saving.files import whole, write_whole
from liveedit.saving.fingerprint import check_fingerprint

CONFIG_FILE, WEIGHTS_FILE = "config.json", "mend.safetensors"
_FORMAT = 1


def save_network(
    network: MendNetwork, config: MendConfig, fingerprint: Mapping[str, object], folder: Path
) -> None:
    """Write it; files appear whole or not at all.

    Args:
        network: What was trained.
        config: How corrections are made with it.
        fingerprint: Of the backbone it is for.
        folder: Made if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with whole(folder / WEIGHTS_FILE) as part:
        save_file({name: one.contiguous() for name, one in network.state_dict().items()}, part)
    described = {
        "format": _FORMAT,
        "method": "mend",
        "backbone": dict(fingerprint),
        "config": config.model_dump(),
        "network": network.config.model_dump(),
        "modules": network.sizes,
    }
    write_whole(folder / CONFIG_FILE, json.dumps(described, indent=2) + "\n")


def load_network(folder: Path, fingerprint: Mapping[str, object]) -> tuple[MendNetwork, MendConfig]:
    """Read it, and how corrections are made with it.

    Raises:
        BadCheckpoint: It is something else, damaged, or of another format.
        BackboneMismatch: It is for another backbone.
    """
    try:
        described = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        if described.get("method") != "mend" or described["format"] != _FORMAT:
            raise BadCheckpoint(
                f"{folder} holds no network of mend that this version reads; train one with: "
                "liveedit train --method mend"
            )
        sizes = {
            path: (int(high), int(wide)) for path, (high, wide) in described["modules"].items()
        }
        config = MendConfig(**described["config"])
        network = MendNetwork(sizes, MendNetworkConfig(**described["network"]))
        network.load_state_dict(load_file(folder / WEIGHTS_FILE))
    except (
        OSError, KeyError, TypeError, ValueError, AttributeError, RuntimeError, SafetensorError,
    ) as error:  # fmt: skip
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadCheckpoint(
            f"{folder} cannot be read ({problem}); train it with: liveedit train --method mend"
        ) from error
    check_fingerprint(described["backbone"], fingerprint)
    return network.eval().requires_grad_(False), config
