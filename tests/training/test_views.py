from itertools import islice
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from liveedit.backbones.llava import LlavaBackbone
from liveedit.benchmark.emoji_edit import EditCase, cases
from liveedit.config import EditorConfig
from liveedit.expert import Experts
from liveedit.network import EditorNetwork
from liveedit.representation import measure_scale
from liveedit.residual import RoutedExperts
from liveedit.scenes.scene import render
from liveedit.training import experts
from liveedit.training.views import REDRAWN, VIEWS, CachedViews, cache_views


@pytest.fixture(scope="module")
def some() -> list[EditCase]:
    return list(islice(cases("train"), 5))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("states")


@pytest.fixture(scope="module")
def views(backbone: LlavaBackbone, some: list[EditCase], folder: Path) -> CachedViews:
    return cache_views(backbone, some, folder)


def test_cached_states_are_those_of_the_question_asked_alone(backbone, some, views) -> None:
    assert len(views) == 5
    chosen = [(3, REDRAWN), (0, 0)]
    batch = views.batch(torch.tensor([case * len(VIEWS) + view for case, view in chosen]))
    for row, (case, view) in enumerate(chosen):
        scene = some[case].scene.redrawn() if view == REDRAWN else some[case].scene
        query = backbone.query([render(scene)], [some[case].question.text], [some[case].target])
        length = query.input_ids.shape[1]
        assert batch.attention_mask[row].sum() == length
        assert torch.equal(batch.input_ids[row, -length:], query.input_ids[0])
        assert batch.target_lengths[row] == query.spans.target.sum()
        torch.testing.assert_close(
            batch.states[row, -length:], backbone.states(query)[0], atol=1e-4, rtol=1e-4
        )
        assert (batch.states[row, :-length] == 0).all()


def test_a_shard_that_is_there_is_not_computed_again(backbone, some, folder, views) -> None:
    shards = {path: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}
    again = cache_views(backbone, some, folder)
    assert torch.equal(again.all_states, views.all_states)
    assert shards == {path: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}


def test_a_folder_of_other_corrections_is_refused(backbone, some, folder, views) -> None:
    with pytest.raises(FileExistsError, match="another folder"):
        cache_views(backbone, some[:3], folder)


def test_expert_losses_equal_those_of_whole_passes(backbone, some, views, monkeypatch) -> None:
    """Each view by itself through the whole model, the expert added by a hook of the test's own."""
    torch.manual_seed(0)
    network = EditorNetwork(EditorConfig(width=32, heads=2, rank=8), backbone.width)
    network.set_scale(measure_scale(views.all_states))
    network.generator.v_gain.data.fill_(10)
    monkeypatch.setattr(experts, "_WEAKEST", 1.0)
    chosen = torch.tensor([4, 1])
    torch.manual_seed(5)
    with torch.no_grad():
        found = experts.expert_losses(backbone, network, views, chosen)
    torch.manual_seed(5)
    coin = torch.randint(0, 2, (2, 2))

    def logits(case: EditCase, view: int, experts_: Experts | None) -> tuple:
        scene, question = case.scene, case.question
        if VIEWS[view] == "rephrase":
            question = case.rephrase
        elif VIEWS[view] == "redrawn":
            scene = scene.redrawn()
        elif VIEWS[view] == "other image":
            scene = case.strict_scene
        elif VIEWS[view] == "other question":
            question = case.strict_question
        query = backbone.query([render(scene)], [question.text], [case.target])

        def add(_module, _inputs, hidden):
            if experts_ is None:
                return hidden
            return RoutedExperts(experts=experts_, weights=torch.ones(1, 1)).add_to(
                hidden, network.scale
            )

        handle = backbone.layer.register_forward_hook(add)
        with torch.no_grad():
            out = backbone.model(**query.model_inputs()).logits[query.spans.predicts]
        handle.remove()
        return out, query.input_ids[query.spans.target]

    reliability, generality, locality = [], [], []
    for row, index in enumerate(chosen.tolist()):
        batch = views.batch(torch.tensor([index * len(VIEWS)]))
        with torch.no_grad():
            made = network.generator(batch.representation(backbone, network.scale))
        out, words = logits(some[index], 0, made)
        reliability += F.cross_entropy(out, words, reduction="none").tolist()
        out, words = logits(some[index], 1 + int(coin[0, row]), made)
        generality += F.cross_entropy(out, words, reduction="none").tolist()
        view = 3 + int(coin[1, row])
        edited, _ = logits(some[index], view, made)
        plain, _ = logits(some[index], view, None)
        target = plain.softmax(1)
        locality += (target * (plain.log_softmax(1) - edited.log_softmax(1))).sum(1).tolist()
    for name, values in (
        ("reliability", reliability), ("generality", generality), ("locality", locality),
    ):  # fmt: skip
        assert found[name].item() == pytest.approx(sum(values) / len(values), rel=1e-3), name
