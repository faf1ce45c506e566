"""The served layer on flat tokens gives what the transformers path gives on a padded batch."""

import numpy as np
import pytest
import torch

from liveedit.backbones.query import Questions
from liveedit.errors import UnsupportedGeneration
from liveedit.vllm.asked import NAMESPACE, PICTURES, REVISION
from liveedit.vllm.pictures import to_send
from liveedit.vllm.prompt_router import PromptRouter
from liveedit.vllm.served_layer import Arrival, ServedLayer, Step
from tests.editor.models import PROMPTS, felt_model

ANSWER = "a friend of mine"


@pytest.fixture
def model(backbone, pictures):
    model = felt_model(backbone, pictures)
    with model.namespace("shop"):
        model.edit(pictures[0], PROMPTS[1], "a red dog", keep=True)
    model.edit(pictures[1], PROMPTS[0], "in Rome", keep=True)
    return model


@pytest.fixture
def served(model):
    router = PromptRouter(model.method.network, model.store)
    return ServedLayer(router, model.backbone.image_token_id, torch.device("cpu"))


class Asked:
    """Three questions, two namespaces: what is computed of them without edits, and with."""

    NAMESPACES = ("shop", "", "")

    def __init__(self, model, pictures):
        self.pictures = [pictures[0], pictures[1], None]
        questions = Questions(
            pictures=self.pictures, prompts=[PROMPTS[1], PROMPTS[0], PROMPTS[2]],
            targets=[ANSWER] * 3,
        )  # fmt: skip
        backbone = model.backbone
        query = backbone.query(questions.pictures, questions.prompts, questions.targets)
        pool = model.store.pool(namespaces=self.NAMESPACES)
        with model.method.applied(query, pool, questions):
            hidden = []
            handle = backbone.layer.register_forward_hook(
                lambda _module, _inputs, out: hidden.append(out)
            )
            backbone.logits(query)
            handle.remove()
        self.plain, self.edited, rows = backbone.states(query), hidden[0], query.attention_mask
        own = [mask.bool() for mask in rows]
        self.ids = [ids[mask].tolist() for ids, mask in zip(query.input_ids, own, strict=True)]
        self.before = [states[mask] for states, mask in zip(self.plain, own, strict=True)]
        self.after = [states[mask] for states, mask in zip(self.edited, own, strict=True)]
        self.prompts = [int((mask & ~t).sum()) for mask, t in zip(own, query.spans.target)]  # noqa: B905
        self.revision = pool.revision

    def arrival(self, row, **fields):
        given = {NAMESPACE: self.NAMESPACES[row], REVISION: self.revision}
        if self.pictures[row] is not None:
            given[PICTURES] = to_send([self.pictures[row]])
        prompt = self.ids[row][: self.prompts[row]]
        return Arrival(request=f"r{row}", prompt=prompt, fields=given | fields)


@pytest.fixture
def asked(model, pictures):
    return Asked(model, pictures)


def passed(served, asked, parts, arrivals):
    """What leaves the layer for parts (row, first, end) of the requests, in one flat tensor."""
    hidden = torch.cat([asked.before[row][first:end] for row, first, end in parts])
    step = Step(
        requests=[f"r{row}" for row, _, _ in parts],
        starts=np.array([first for _, first, _ in parts]),
        counts=np.array([end - first for _, first, end in parts]),
    )
    served.begin(step, arrivals)
    served.change(hidden, None)
    return hidden.split(step.counts.tolist())


def same(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def whole(asked, row):
    return (row, 0, asked.prompts[row])


def test_prompts_and_decoded_tokens_get_their_own_experts(served, asked):
    assert all(not torch.equal(asked.before[row], asked.after[row]) for row in (0, 1))
    rows = [0, 1, 2]
    found = passed(served, asked, [whole(asked, r) for r in rows], map(asked.arrival, rows))
    for row in rows:
        same(found[row], asked.after[row][: asked.prompts[row]])
    for step in range(3):  # of decoding; the order of requests is another each time
        rows = [*rows[1:], rows[0]]
        at = [(row, asked.prompts[row] + step, asked.prompts[row] + step + 1) for row in rows]
        found = passed(served, asked, at, [])
        for (row, first, end), states in zip(at, found, strict=True):
            same(states, asked.after[row][first:end])


def test_prefill_and_decoding_are_mixed_in_a_step(served, asked):
    passed(served, asked, [whole(asked, 1)], [asked.arrival(1)])
    at = asked.prompts[1]
    parts = [(1, at, at + 1), whole(asked, 0), whole(asked, 2)]
    found = passed(served, asked, parts, [asked.arrival(0), asked.arrival(2)])
    for (row, first, end), states in zip(parts, found, strict=True):
        same(states, asked.after[row][first:end])


def test_what_was_preempted_is_computed_again_in_any_parts(served, asked):
    passed(served, asked, [whole(asked, 0)], [asked.arrival(0)])
    end = asked.prompts[0] + 2  # the prompt, and two tokens of the answer
    for parts in ([(0, 0, end)], [(0, 0, 5)], [(0, 5, end)]):
        (found,) = passed(served, asked, parts, [])
        same(found, asked.after[0][parts[0][1] : parts[0][2]])


def test_those_without_edits_are_bit_identical(served, asked):
    parts = [whole(asked, row) for row in (0, 1, 2)]
    arrivals = [
        asked.arrival(0),
        asked.arrival(1, liveedit_disabled=1),
        asked.arrival(2, **{NAMESPACE: "nobody's"}),
    ]
    found = passed(served, asked, parts, arrivals)
    same(found[0], asked.after[0][: asked.prompts[0]])
    for row in (1, 2):
        assert torch.equal(found[row], asked.before[row][: asked.prompts[row]])


def test_a_request_sees_the_revision_that_it_came_with(served, asked, model):
    first = asked.arrival(0)
    earlier = asked.arrival(1, **{REVISION: asked.revision - 1})
    for one in model.store.edits:
        model.revoke(one.id)
    found = passed(served, asked, [whole(asked, 0), whole(asked, 1)], [first, earlier])
    same(found[0], asked.after[0][: asked.prompts[0]])
    assert torch.equal(found[1], asked.before[1][: asked.prompts[1]])


def test_what_is_finished_is_forgotten(served, asked):
    for _ in range(3):
        passed(served, asked, [whole(asked, 0), whole(asked, 1)], map(asked.arrival, (0, 1)))
        assert served.buffers.used > 0
        served.finish(["r0", "r1", "never seen"])
        assert served.buffers.used == 0
        (found,) = passed(served, asked, [whole(asked, 0)], [asked.arrival(0, liveedit_disabled=1)])
        assert torch.equal(found, asked.before[0][: asked.prompts[0]])
        served.finish(["r0"])


def test_a_prompt_in_parts_is_refused_rather_than_left_without_edits(served, asked):
    with pytest.raises(UnsupportedGeneration, match="must be computed whole"):
        passed(served, asked, [(0, 0, asked.prompts[0] - 1)], [asked.arrival(0)])
    with pytest.raises(UnsupportedGeneration, match="from 4 on"):
        passed(served, asked, [(1, 4, asked.prompts[1])], [asked.arrival(1)])


def test_a_pass_of_no_request_changes_nothing(served, asked):
    hidden = asked.before[0].clone()
    served.change(hidden, None)
    assert torch.equal(hidden, asked.before[0])
