"""Every training correction seen from several sides, as states at the edit layer, computed once.

The backbone is frozen, so its lower layers never run again; training reads tensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.benchmark.emoji_edit import EditCase
from liveedit.representation import Representation, StateScale, find_spans, standardise
from liveedit.scenes.scene import render

# the correction; its question in other words; its picture by the other hand; its question about
# another picture (RI); another question about its picture (CI)
VIEWS = ("edit", "rephrase", "redrawn", "other image", "other question")
EDIT, REPHRASE, REDRAWN, OTHER_IMAGE, OTHER_QUESTION = range(len(VIEWS))
_SHARD = 128
_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class ViewBatch:
    """Views as a left-padded batch.

    Args:
        states: As the backbone computed them, in its dtype.
        input_ids: Token ids.
        attention_mask: One where a token is.
        target_lengths: Tokens of the target, its end included.
    """

    states: Float[Tensor, "batch length width"]
    input_ids: Int[Tensor, "batch length"]
    attention_mask: Int[Tensor, "batch length"]
    target_lengths: Int[Tensor, " batch"]

    def representation(self, backbone: Backbone, scale: StateScale) -> Representation:
        """What the editor reads of the batch."""
        spans = find_spans(
            self.input_ids, self.attention_mask, backbone.image_token_id, self.target_lengths
        )
        return Representation(
            states=standardise(self.states, scale),
            spans=spans,
            lexical=backbone.lexical(self.input_ids, spans.target),
        )


class CachedViews:
    """The views of a list of corrections; view v of correction c is row ``c * len(VIEWS) + v``."""

    def __init__(self, states: Tensor, ids: Tensor, lengths: Tensor, targets: Tensor) -> None:
        self._states, self._ids = states, ids
        self._lengths, self._targets = lengths, targets
        self._starts = lengths.cumsum(0) - lengths

    def __len__(self) -> int:
        return len(self._lengths) // len(VIEWS)

    @property
    def all_states(self) -> Float[Tensor, "positions width"]:
        """The states of all positions of all views."""
        return self._states

    def batch(self, rows: Int[Tensor, " batch"]) -> ViewBatch:
        """Put rows together, padded on the left."""
        lengths = self._lengths[rows]
        longest = int(lengths.max())
        offset = torch.arange(longest) - (longest - lengths)[:, None]
        real = offset >= 0
        at = self._starts[rows][:, None] + offset.clamp(min=0)
        return ViewBatch(
            states=self._states[at] * real[..., None],
            input_ids=self._ids[at] * real,
            attention_mask=real.long(),
            target_lengths=self._targets[rows],
        )


def cache_views(backbone: Backbone, cases: Sequence[EditCase], folder: Path) -> CachedViews:
    """Compute the views' states, in shards on disk; a killed run goes on where it was.

    Writes ``views-XXXX.safetensors``: ``states`` (positions, width) in the backbone's dtype,
    ``ids`` (positions), ``lengths`` and ``targets`` (views).
    """
    folder.mkdir(parents=True, exist_ok=True)
    listing = json.dumps([asdict(case) for case in cases]) + json.dumps(backbone.fingerprint())
    stamp = hashlib.sha256(listing.encode()).hexdigest()
    if (folder / "stamp").exists() and (folder / "stamp").read_text() != stamp:
        raise FileExistsError(f"{folder} holds states of other corrections; use another folder")
    (folder / "stamp").write_text(stamp)
    shards = []
    with tqdm(total=len(cases), desc="states", unit="correction") as bar:
        for start in range(0, len(cases), _SHARD):
            path = folder / f"views-{start // _SHARD:04d}.safetensors"
            some = cases[start : start + _SHARD]
            if not path.exists():
                save_file(_compute(backbone, some), path.with_suffix(".part"))
                path.with_suffix(".part").replace(path)
            shards.append(load_file(path))
            bar.update(len(some))
    joined = {name: torch.cat([shard[name] for shard in shards]) for name in shards[0]}
    return CachedViews(**joined)


def views_of(case: EditCase) -> list[tuple[Image.Image, str, str]]:
    """Picture, question and target of every view of a correction."""
    seen, redrawn, other = (
        render(scene) for scene in (case.scene, case.scene.redrawn(), case.strict_scene)
    )
    asked = case.question.text
    pictures = [seen, seen, redrawn, other, seen]
    questions = [asked, case.rephrase.text, asked, asked, case.strict_question.text]
    return [(*view, case.target) for view in zip(pictures, questions, strict=True)]


def _compute(backbone: Backbone, cases: Sequence[EditCase]) -> dict[str, Tensor]:
    pictures, questions, targets = zip(
        *(view for case in cases for view in views_of(case)), strict=True
    )
    states, ids, lengths, target_lengths = [], [], [], []
    for at in range(0, len(pictures), _BATCH):
        part = slice(at, at + _BATCH)
        query = backbone.query(pictures[part], questions[part], targets[part])
        real = query.attention_mask.bool()
        states.append(backbone.states(query)[real].cpu())
        ids.append(query.input_ids[real].cpu())
        lengths.append(real.sum(1).cpu())
        target_lengths.append(query.spans.target.sum(1).cpu())
    return {
        "states": torch.cat(states),
        "ids": torch.cat(ids),
        "lengths": torch.cat(lengths),
        "targets": torch.cat(target_lengths),
    }
