"""What edits are made with: backbone and editor, down to the weights of the editor."""

from __future__ import annotations

import hashlib

from liveedit.backbones.base import Backbone
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.store.records import Identity


def identity_of(backbone: Backbone, network: EditorNetwork) -> Identity:
    """What a store of edits made with this backbone and editor must agree with.

    Where the weights are known, the name of the backbone does not matter.
    """
    made_with = {**backbone.fingerprint(), "editor": editor_digest(network)}
    if made_with["weights"] is not None:
        del made_with["backbone"]
    return Identity(
        fingerprint=made_with,
        rank=network.config.rank,
        width=network.state_width,
        features=network.features,
    )


def editor_digest(network: EditorNetwork) -> str:
    """SHA-256 over the settings and weights of an editor, the first 16 hexadecimal digits."""
    digest = hashlib.sha256(network.config.model_dump_json().encode())
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]
