import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from liveedit.backbones.spans import Spans
from liveedit.methods.liveedit.checkpoint import CONFIG_FILE, load_editor, save_editor
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.context import answer_share, context_gain
from liveedit.methods.liveedit.features import EditFeatures, RoutingFeatures
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.routing import Router

FINGERPRINT: dict[str, object] = {"family": "llava", "width": 16, "edit_layer": 3}


def test_every_doubling_beyond_64_tokens_adds_the_same() -> None:
    length = torch.tensor([0, 1, 63, 64, 128, 256, 1024])
    expected = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.5, 2.0, 3.0])
    torch.testing.assert_close(context_gain(length, 0.5), expected)
    assert (context_gain(length, 0.0) == 1).all()


def test_an_answer_gets_half_of_what_its_long_prompt_gets_more() -> None:
    prompt, target = torch.zeros(2, 260, dtype=torch.bool), torch.zeros(2, 260, dtype=torch.bool)
    prompt[0, :256], target[0, 256:] = True, True  # 2 and 1.5 times as strongly
    prompt[1, :40], target[1, 40:43] = True, True
    spans = Spans(vision=torch.zeros_like(prompt), prompt=prompt, target=target)
    share = answer_share(spans, 0.5)
    assert share.shape == (2, 260)
    assert (share[0, :256] == 1).all()
    torch.testing.assert_close(share[0, 256:], torch.full((4,), 1.5 / 2))
    assert (share[1] == 1).all(), "nothing changes after a short prompt"
    assert (answer_share(spans, 0.0) == 1).all()
    decoded = answer_share(spans, 0.5, 1)
    torch.testing.assert_close(decoded, torch.tensor([[0.75], [1.0]]))
    whole = answer_share(spans, 0.5, 263)
    assert torch.equal(whole[:, :260], share)
    assert torch.equal(whole[:, 260:], decoded.expand(-1, 3))


@torch.no_grad()
def test_what_passes_is_added_more_strongly_and_nothing_else_passes() -> None:
    torch.manual_seed(0)
    features = F.normalize(torch.randn(4, 12), dim=-1)
    queries = RoutingFeatures(
        vision=features, prompt=features, sentinel=torch.zeros(4, 12),
        sees=torch.ones(4, dtype=torch.bool), length=torch.tensor([8, 64, 128, 512]),
    )  # fmt: skip
    edits = EditFeatures(vision=features, prompt=features, sees=queries.sees)
    router, eligible = Router(context=0.5), torch.ones(1, 4, dtype=torch.bool)
    long, short = (
        router.route(one, edits, eligible) for one in (queries, replace(queries, length=None))
    )
    assert short.passes.any(1).all()
    assert torch.equal(long.passes, short.passes)
    gain = torch.tensor([1.0, 1.0, 1.5, 2.5])
    torch.testing.assert_close(long.weights, short.weights * gain[:, None])


def test_lengths_follow_their_rows() -> None:
    some = RoutingFeatures(
        vision=torch.rand(3, 4), prompt=torch.rand(3, 4), sentinel=torch.rand(3, 4),
        sees=torch.ones(3, dtype=torch.bool), length=torch.tensor([5, 6, 7]),
    )  # fmt: skip
    both = RoutingFeatures.join([some.take(torch.tensor([2, 0])), some.rows(slice(1, 2))])
    assert both.length is not None
    assert both.length.tolist() == [7, 5, 6]
    assert RoutingFeatures.join([some, replace(some, length=None)]).length is None


@pytest.mark.parametrize("known", [True, False])
def test_editors_of_before_add_as_much_after_any_prompt(tmp_path: Path, known: bool) -> None:
    save_editor(EditorNetwork(EditorConfig(width=8, heads=2, rank=2), 16), FINGERPRINT, tmp_path)
    if not known:
        described = json.loads((tmp_path / CONFIG_FILE).read_text())
        del described["editor"]["context_gain"]
        (tmp_path / CONFIG_FILE).write_text(json.dumps(described))
    assert load_editor(tmp_path, FINGERPRINT).router.context == (0.5 if known else 0)
