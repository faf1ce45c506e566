"""States of corrections at the edit layer, computed once and kept on disk.

The backbone is frozen, so its lower layers never run again; training reads tensors. A shard's name
is a digest of what is in it (corrections, views, the backbone's weights), so that every run that
needs the same states shares them, and none can read another's by mistake.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from jaxtyping import Float, Int
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.backbones.spans import Spans, find_spans
from liveedit.backbones.tensor_samples import plain_parts
from liveedit.data.views import TAUGHT, Case, digest, views_of
from liveedit.distributed import every_process, processes
from liveedit.errors import CacheTooSmall
from liveedit.methods.liveedit.representation import Representation, StateScale, standardise
from liveedit.saving.files import whole

logger = logging.getLogger(__name__)

DEFAULT_LIMIT = 8 * 10**9
_SHARD = 128
_BATCH = 32
_DESCRIBED = ("family", "backbone", "width", "layers", "edit_layer", "vocabulary")


@dataclass(frozen=True, kw_only=True)
class ViewBatch:
    """Views as a left-padded batch.

    Args:
        states: As the backbone computed them, in its dtype.
        input_ids: Token ids.
        attention_mask: One where a token is.
        target_lengths: Tokens of the target, its end included.
        per_token: What else the layers above read of every token, see `Query`.
    """

    states: Float[Tensor, "batch length width"]
    input_ids: Int[Tensor, "batch length"]
    attention_mask: Int[Tensor, "batch length"]
    target_lengths: Int[Tensor, " batch"]
    per_token: Mapping[str, Tensor] = field(default_factory=dict)

    def spans(self, backbone: Backbone) -> Spans:
        """Where image, prompt and target are."""
        return find_spans(
            self.input_ids, self.attention_mask, backbone.image_token_id, self.target_lengths
        )

    def representation(
        self, backbone: Backbone, scale: StateScale, *, lexical: bool = False
    ) -> Representation:
        """What the editor reads of the batch.

        Args:
            backbone: The frozen model.
            scale: Its scale at the edit layer.
            lexical: With the target's embeddings, which only the generator reads.
        """
        spans = self.spans(backbone)
        return Representation(
            states=standardise(self.states, scale),
            spans=spans,
            lexical=backbone.lexical(self.input_ids, spans.target) if lexical else None,
        )


class CachedViews:
    """Some views of a list of corrections.

    Args:
        names: The views.
        states: States of all positions of all views, one after the other, correction by correction.
        ids: Token ids there.
        lengths: Positions of every view.
        targets: Tokens of every view's target.
        device: Where batches go; the states themselves stay where they are.
        per_token: What else the layers above read of every position, by name.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        states: Float[Tensor, "positions width"],
        ids: Int[Tensor, " positions"],
        lengths: Int[Tensor, " views"],
        targets: Int[Tensor, " views"],
        device: str | torch.device = "cpu",
        **per_token: Tensor,
    ) -> None:
        self.names = tuple(names)
        self.all_states = states
        self._ids, self._lengths, self._targets = ids, lengths, targets
        self._per_token = per_token
        self._device = device
        self._starts = lengths.cumsum(0) - lengths

    def __len__(self) -> int:
        return len(self._lengths) // len(self.names)

    def lengths(
        self, cases: Int[Tensor, " batch"], views: Int[Tensor, " batch"]
    ) -> Int[Tensor, " batch"]:
        """Positions of some views."""
        return self._lengths[cases * len(self.names) + views]

    def batch(self, cases: Int[Tensor, " batch"], views: Int[Tensor, " batch"]) -> ViewBatch:
        """Put views together, padded on the left.

        Args:
            cases: Correction of each row.
            views: Number of the view of each row in ``names``.
        """
        rows = cases * len(self.names) + views
        lengths = self._lengths[rows]
        longest = int(lengths.max())
        offset = torch.arange(longest) - (longest - lengths)[:, None]
        real = offset >= 0
        at = self._starts[rows][:, None] + offset.clamp(min=0)
        mask = real.to(self._device)
        return ViewBatch(
            states=self.all_states[at].to(self._device) * mask[..., None],
            input_ids=self._ids[at].to(self._device) * mask,
            attention_mask=mask.long(),
            target_lengths=self._targets[rows].to(self._device),
            per_token={name: value[at].to(self._device) for name, value in self._per_token.items()},
        )


def cache_views(
    backbone: Backbone,
    cases: Sequence[Case],
    folder: Path,
    *,
    names: Sequence[str] = TAUGHT,
    answers: Sequence[Sequence[str]] | None = None,
    limit: int = DEFAULT_LIMIT,
) -> CachedViews:
    """Read the states from the cache; compute those that are not there, each process its part.

    Files are ``DIGEST.safetensors``: ``states`` (positions, width) in the backbone's dtype, ``ids``
    (positions), ``lengths`` and ``targets`` (views), and what else layers read of every position. A
    killed run loses one shard at most.

    Args:
        backbone: The frozen model.
        cases: The corrections.
        folder: The cache; other runs may use it too.
        names: The views to have of each.
        answers: For each correction what answers each of the views; its target by default.
        limit: Largest size of the cache in bytes. What was not used for longest goes first.

    Raises:
        CacheTooSmall: These states alone would exceed the limit.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shards = _shards(cases, names, answers)
    paths = _paths(backbone, shards, folder, names)
    mine = range(processes().process_index, len(shards), processes().num_processes)
    with tqdm(
        total=sum(len(shards[index].cases) for index in mine),
        desc="states",
        unit="correction",
        disable=not processes().is_main_process,
    ) as bar:
        for index in mine:
            if paths[index].exists():
                paths[index].touch()
            else:
                with whole(paths[index]) as part:
                    save_file(_compute(backbone, shards[index], names), part)
            count = len(shards[index].cases)
            needed = paths[index].stat().st_size * len(cases) // count
            if needed > limit:
                raise CacheTooSmall(needed=needed, limit=limit)
            bar.set_postfix(disk=f"{needed / 1e9:.1f} GB")
            bar.update(count)
    every_process()
    if processes().is_main_process:
        _prune(folder, set(paths), limit)
    loaded = [load_file(path) for path in paths]
    joined = {name: torch.cat([shard[name] for shard in loaded]) for name in loaded[0]}
    return CachedViews(names, **joined, device=backbone.edit_device)


def missing(
    backbone: Backbone,
    cases: Sequence[Case],
    folder: Path,
    *,
    names: Sequence[str],
    answers: Sequence[Sequence[str]] | None = None,
) -> list[bool]:
    """For each correction whether its states would have to be computed; see :func:`cache_views`."""
    shards = _shards(cases, names, answers)
    paths = _paths(backbone, shards, folder, names)
    return [
        not path.exists()
        for shard, path in zip(shards, paths, strict=True)
        for _ in shard.cases
    ]  # fmt: skip


def weights_digest(backbone: Backbone) -> str:
    """Digest of a backbone's description and of all its weights."""
    fingerprint = backbone.fingerprint()
    return module_digest(backbone.model, {name: fingerprint[name] for name in _DESCRIBED})


def module_digest(module: nn.Module, *more: object) -> str:
    """Digest of all weights of a module, and of what else decides what it does."""
    found = hashlib.blake2b(json.dumps(more).encode(), digest_size=16)
    for name, value in sorted(module.state_dict().items()):
        found.update(name.encode())
        for part in plain_parts(value):
            found.update(part.contiguous().view(-1).view(torch.uint8).cpu().numpy().data)
    return found.hexdigest()


@dataclass(frozen=True, kw_only=True)
class _Shard:
    cases: Sequence[Case]
    answers: Sequence[Sequence[str]]


def _shards(
    cases: Sequence[Case], names: Sequence[str], answers: Sequence[Sequence[str]] | None
) -> list[_Shard]:
    answers = answers or [[case.target] * len(names) for case in cases]
    return [
        _Shard(cases=cases[start : start + _SHARD], answers=answers[start : start + _SHARD])
        for start in range(0, len(cases), _SHARD)
    ]


def _paths(
    backbone: Backbone, shards: Sequence[_Shard], folder: Path, names: Sequence[str]
) -> list[Path]:
    weights = weights_digest(backbone)
    return [folder / f"{_digest(shard, names, weights)}.safetensors" for shard in shards]


def _digest(shard: _Shard, names: Sequence[str], weights: str) -> str:
    own = all(
        answer == case.target
        for case, some in zip(shard.cases, shard.answers, strict=True)
        for answer in some
    )
    return digest(shard.cases, weights, list(names), None if own else shard.answers)


def _prune(folder: Path, needed: set[Path], limit: int) -> None:
    """Delete what was not used for longest until the rest fits, but nothing that is needed."""
    files = {path: path.stat() for path in folder.glob("*.safetensors")}
    size = sum(stat.st_size for stat in files.values())
    for path in sorted(files.keys() - needed, key=lambda path: files[path].st_mtime):
        if size <= limit:
            return
        logger.info("the cache of states exceeds its limit: %s goes", path.name)
        path.unlink(missing_ok=True)
        size -= files[path].st_size


def _compute(backbone: Backbone, shard: _Shard, names: Sequence[str]) -> dict[str, Tensor]:
    pictures, questions = zip(
        *(view for case in shard.cases for view in views_of(case, names)), strict=True
    )
    targets = [answer for some in shard.answers for answer in some]
    return view_states(backbone, pictures, questions, targets)


def view_states(
    backbone: Backbone,
    pictures: Sequence[Image.Image | None],
    questions: Sequence[str],
    targets: Sequence[str],
    *,
    batch: int = _BATCH,
) -> dict[str, Tensor]:
    """States of questions with their targets, on the CPU, as `CachedViews` takes them.

    Args:
        backbone: The frozen model.
        pictures: One for each question, or None.
        questions: What is asked.
        targets: What is answered.
        batch: How many are read at a time.
    """
    # in batches of like lengths: padding costs as much as words
    order = sorted(range(len(questions)), key=lambda at: len(questions[at]) + len(targets[at]))
    rows: list[dict[str, Tensor]] = [{}] * len(questions)
    for start in range(0, len(order), batch):
        some = order[start : start + batch]
        query = backbone.query(
            [pictures[at] for at in some],
            [questions[at] for at in some],
            [targets[at] for at in some],
        )
        tensors = {"states": backbone.states(query), "ids": query.input_ids, **query.per_token}
        target_lengths = query.spans.target.sum(1)
        for row, (at, real) in enumerate(zip(some, query.attention_mask.bool(), strict=True)):
            rows[at] = {name: value[row][real].cpu() for name, value in tensors.items()} | {
                "lengths": real.sum()[None].cpu(),
                "targets": target_lengths[row, None].cpu(),
            }
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
