"""Corrections to edits: generate an expert, compare with what is there, verify, refine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.correction import Correction
from liveedit.errors import TextOnlyCorrection
from liveedit.methods.conflicts import Likeness, find_conflicts, superseding
from liveedit.methods.liveedit.around import from_another_side, in_other_words, neighbours
from liveedit.methods.liveedit.config import LiveEditConfig
from liveedit.methods.liveedit.conflicts import likeness
from liveedit.methods.liveedit.experts import Experts, ExpertSlots, apply_experts
from liveedit.methods.liveedit.features import EditFeatures, RoutingFeatures
from liveedit.methods.liveedit.nearest import decide_nearest
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.refine import Around, EditLayerBatch, verify_and_refine
from liveedit.methods.liveedit.representation import Representation, standardise
from liveedit.methods.liveedit.residual import fetch
from liveedit.methods.liveedit.selection import fetch_from
from liveedit.methods.liveedit.tensors import features_of, keys_of
from liveedit.methods.liveedit.wordings import with_wordings
from liveedit.methods.outcome import EditOutcome, NewEdits
from liveedit.methods.shared.known_pictures import KnownPictures
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.pool import Pool

_ROUNDS = 2  # refining one expert may disturb another of the batch


@torch.no_grad()
def make_edits(
    backbone: Backbone,
    network: EditorNetwork,
    store: Store,
    edits: Sequence[Edit],
    corrections: Sequence[Correction],
    config: LiveEditConfig,
) -> NewEdits:
    """Make a batch of edits; the store is only read.

    Args:
        backbone: The frozen model.
        network: The editor.
        store: What is in force.
        edits: What the store will keep for people, the oldest first.
        corrections: What they correct.
        config: Switches.

    Raises:
        TextOnlyCorrection: One has no picture, and the editor has no text router.
        DamagedEdit: One of the store that concerns them is; the store leaves it out from now on.
    """
    if not network.config.text_router and any(c.image is None for c in corrections):
        raise TextOnlyCorrection(
            "liveedit", instead="this editor has no text router: give a picture, or train one"
        )
    query = backbone.query(
        [c.image for c in corrections],
        [c.prompt for c in corrections],
        [c.target for c in corrections],
    )
    states = backbone.states(query)
    representation = Representation(
        states=standardise(states, network.scale),
        spans=query.spans,
        lexical=backbone.lexical(query.input_ids, query.spans.target),
    )
    experts, features = network.generator(representation), network.edit_features(representation)
    queries = network.extractor(representation)
    pool = store.pool(namespaces=[edit.namespace for edit in edits]).near(keys_of(queries))

    def alike(other: Pool | None) -> Likeness:
        them = features if other is None else features_of(other.keys.whole)
        return likeness(features, them, config)

    conflicts = find_conflicts(edits, corrections, store, pool, alike)
    edits = superseding(edits, conflicts, config.supersede)
    own, others = _weights(
        network, pool, queries, features, _in_force(edits, pool), edits, corrections,
        words=bool(config.sentence_encoder),
    )  # fmt: skip
    tokens = query.spans.target.sum(1)
    short = network.generator.rank if config.refine_broad is None else config.refine_broad
    slots, long = network.generator.slots_of(tokens), tokens > short
    reached, steps = torch.zeros_like(long), torch.zeros_like(tokens)
    worded = torch.tensor([bool(one.rephrasings) for one in corrections], device=long.device)
    everyone = torch.arange(len(edits), device=states.device)
    plain = own / network.router.gain(query.spans.prompt.sum(1))
    for _ in range(_ROUNDS):
        residual = _residual(representation.states, others, pool, experts.halved, slots)
        refined = verify_and_refine(
            backbone,
            network.scale,
            experts,
            EditLayerBatch.of(
                query,
                states,
                query.spans.predicts,
                owner=everyone,
                weights=own,
                context=network.router.context,
                residual=residual,
            ),
            around=lambda some: _look_around(backbone, network, corrections, plain, long, some),
            broad=(long | worded) & (steps == 0),
            config=config,
        )
        experts, reached, steps = refined.experts, refined.reached, steps + refined.steps
        moved = others[:, -len(edits) :] * (refined.steps > 0)
        if not moved.any():
            break
    reached &= ~moved.any(1)  # what the last steps may have disturbed is not known to be reached
    u, v = experts.parted(slots)
    outcomes = [
        EditOutcome(edit=edit, reached=good, steps=count, conflicts=found)
        for edit, good, count, found in zip(
            edits, reached.tolist(), steps.tolist(), conflicts, strict=True
        )
    ]
    return NewEdits(outcomes=outcomes, keys=keys_of(features), values={"u": u, "v": v})


def _residual(
    states: Float[Tensor, "batch length width"],
    others: Float[Tensor, "batch experts"],
    pool: Pool,
    experts: Experts,
    slots: Tensor,
) -> Float[Tensor, "batch length width"]:
    """What other edits add: those of the pool, and those of the batch behind them."""
    residual = torch.zeros_like(states)
    new = len(slots)
    batch = ExpertSlots.of(*experts.parted(slots))
    for routed in (fetch_from(others[:, :-new], pool), fetch(others[:, -new:], batch)):
        if routed is not None:
            residual += apply_experts(states, routed.experts, routed.weights)
    return residual


def _look_around(
    backbone: Backbone,
    network: EditorNetwork,
    corrections: Sequence[Correction],
    weights: Float[Tensor, " batch"],
    long: Bool[Tensor, " batch"],
    some: Bool[Tensor, " batch"],
) -> Around:
    """What is asked around some corrections: long targets hold for any question, others do not."""
    same, other = [], []
    for row in some.nonzero().flatten().tolist():
        one = corrections[row]
        same += [(row, each) for each in in_other_words(one)]
        if long[row]:
            same.append((row, from_another_side(one)))
        else:
            other += [(row, each) for each in neighbours(one)]
    return Around(
        same=_asked(backbone, network, same, weights, targets=True),
        other=_asked(backbone, network, other, weights, targets=False),
    )


def _asked(
    backbone: Backbone,
    network: EditorNetwork,
    asked: Sequence[tuple[int, Correction]],
    weights: Float[Tensor, " batch"],
    *,
    targets: bool,
) -> EditLayerBatch | None:
    """Corrections, each with the number of the one whose expert is added, at the edit layer."""
    if not asked:
        return None
    owners, stated = zip(*asked, strict=True)
    query = backbone.query(
        [one.image for one in stated],
        [one.prompt for one in stated],
        [one.target for one in stated] if targets else None,
    )
    keep = query.spans.predicts
    if not targets:
        keep = torch.zeros_like(query.attention_mask, dtype=torch.bool)
        keep[:, -1] = True
    owner = torch.tensor(owners, device=weights.device)
    return EditLayerBatch.of(
        query,
        backbone.states(query),
        keep,
        owner=owner,
        weights=weights[owner] * network.router.gain(query.spans.prompt.sum(1)),
        context=network.router.context,
    )


def _in_force(edits: Sequence[Edit], pool: Pool) -> Bool[Tensor, "batch experts"]:
    """For each new edit what is in force with it: of the pool, then of the batch.

    That is what will be in force in the end; but one that a later one of the batch supersedes is
    looked at as if that were revoked.
    """
    known, count = pool.eligible.shape[1], len(edits)
    device = pool.eligible.device
    wanted = {one for edit in edits for one in edit.supersedes}
    column = {one: at for at, one in enumerate(pool.ids[:known]) if one in wanted}
    column |= {edit.id: known + row for row, edit in enumerate(edits)}
    supersedes = torch.zeros(count, known + count, dtype=torch.bool, device=device)
    for row, edit in enumerate(edits):
        gone = [column[one] for one in edit.supersedes if one in column]  # others are not near
        supersedes[row, gone] = True
    spaces = [edit.namespace for edit in edits]
    together = torch.tensor([[one == other for other in spaces] for one in spaces], device=device)
    in_the_end = torch.cat([pool.eligible.expand(count, -1), together], 1) & ~supersedes.any(0)
    in_force = in_the_end & ~supersedes
    in_force[:, known:] &= ~supersedes[:, known:].T
    in_force[:, known:].fill_diagonal_(True)
    return in_force


def _weights(
    network: EditorNetwork,
    pool: Pool,
    queries: RoutingFeatures,
    edits: EditFeatures,
    in_force: Bool[Tensor, "batch experts"],
    named: Sequence[Edit],
    corrections: Sequence[Correction],
    *,
    words: bool,
) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch experts"]]:
    """How strongly each correction's own expert is added to it, and how strongly all others."""
    known = features_of(pool.keys.whole)
    both = EditFeatures(
        vision=torch.cat([known.vision, edits.vision]),
        prompt=torch.cat([known.prompt, edits.prompt]),
        sees=torch.cat([known.sees, edits.sees]),
    )
    alike = queries.sees[:, None] == both.sees
    before = alike[:, : len(known.sees)] & pool.eligible
    more = (alike & in_force).sum(1, keepdim=True) - before.sum(1, keepdim=True)
    crowd = pool.crowd_of(queries.sees) + more
    count = len(known.sees)
    stated = {edit.image: one.image for edit, one in zip(named, corrections, strict=True)}
    pictures = KnownPictures(pool.thumbnail, stated)

    def edits_of(columns: Sequence[int]) -> list[Edit]:
        earlier = pool.edits_of([pool.ids[column] for column in columns if column < count])
        return [earlier[pool.ids[at]] if at < count else named[at - count] for at in columns]

    def of_picture(row: int, likely: Sequence[int], others: Sequence[int]) -> Sequence[bool]:
        images = [edit.image for edit in edits_of([*likely, *others])]
        ends = len(likely)
        return pictures.of(corrections[row].image, images[:ends], unlikely=images[ends:])

    router = network.router
    scores = router.similarities(queries, both)
    if words:
        prompts = [one.prompt for one in corrections]
        scores = with_wordings(router, scores, in_force, crowd, prompts.__getitem__, edits_of)
    weights = decide_nearest(router, scores, in_force, crowd, of_picture).weights
    among = weights[:, -len(queries.sees) :]
    own = among.diagonal().clone()
    among.fill_diagonal_(0)
    return own, weights
