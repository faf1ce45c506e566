"""From a batch of corrections to edits: generate, compare with what is there, verify, refine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.correction import Correction
from liveedit.errors import TextOnlyCorrection
from liveedit.methods.liveedit.config import LiveEditConfig
from liveedit.methods.liveedit.conflicts import find_conflicts, superseding
from liveedit.methods.liveedit.generator import apply_experts
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.refine import EditLayerBatch, verify_and_refine
from liveedit.methods.liveedit.representation import Representation, standardise
from liveedit.methods.liveedit.residual import fetch
from liveedit.methods.liveedit.routing import EditFeatures, RoutingFeatures
from liveedit.methods.liveedit.selection import fetch_from
from liveedit.methods.liveedit.tensors import features_of, keys_of
from liveedit.methods.outcome import EditOutcome, NewEdits
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.pool import Pool

# what an edit must not change about its own picture, and what a text-only edit must not change
_NEIGHBOURS = ("Describe the picture in one sentence.", "What is in the background?")
_TEXT_NEIGHBOURS = ("What is the capital of France?", "Write a short sentence about the sea.")


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
    images = [correction.image for correction in corrections]
    query = backbone.query(images, [c.prompt for c in corrections], [c.target for c in corrections])
    states = backbone.states(query)
    representation = Representation(
        states=standardise(states, network.scale),
        spans=query.spans,
        lexical=backbone.lexical(query.input_ids, query.spans.target),
    )
    experts, features = network.generator(representation), network.edit_features(representation)
    queries = network.extractor(representation)
    pool = store.pool(namespaces=[edit.namespace for edit in edits]).near(keys_of(queries))
    conflicts = find_conflicts(edits, features, pool, store.get, config)
    if config.supersede:
        edits = superseding(edits, conflicts)
    in_force = _in_force(edits, pool)
    own, others = _weights(network, pool, queries, features, in_force)
    residual = torch.zeros_like(representation.states)
    for routed in (
        fetch_from(others[:, : -len(edits)], pool),
        fetch(others[:, -len(edits) :], experts),
    ):
        if routed is not None:
            residual += apply_experts(representation.states, routed.experts, routed.weights)

    def neighbours(which: Int[Tensor, " some"]) -> EditLayerBatch:
        about = [images[row] for row in which.tolist() for _ in _NEIGHBOURS]
        questions = [
            question
            for row in which.tolist()
            for question in (_TEXT_NEIGHBOURS if images[row] is None else _NEIGHBOURS)
        ]
        asked = backbone.query(about, questions)
        last = torch.zeros_like(asked.attention_mask, dtype=torch.bool)
        last[:, -1] = True
        return EditLayerBatch.of(asked, backbone.states(asked), last)

    refined = verify_and_refine(
        backbone,
        network.scale,
        experts,
        own,
        EditLayerBatch.of(query, states, query.spans.predicts, residual),
        neighbours,
        config,
    )
    outcomes = [
        EditOutcome(edit=edit, reached=reached, steps=steps, conflicts=found)
        for edit, reached, steps, found in zip(
            edits, refined.reached.tolist(), refined.steps.tolist(), conflicts, strict=True
        )
    ]
    return NewEdits(
        outcomes=outcomes,
        keys=keys_of(features),
        values={"u": refined.experts.u, "v": refined.experts.v},
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
    weights = network.router.route(queries, both, in_force, crowd).weights
    among = weights[:, -len(queries.sees) :]
    own = among.diagonal().clone()
    among.fill_diagonal_(0)
    return own, weights
