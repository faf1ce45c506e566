import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from liveedit.backbones.llava import LlavaBackbone
from liveedit.backbones.registry import load_backbone
from liveedit.benchmark.emoji_edit import EditCase, training_cases
from liveedit.benchmark.views import REDRAWN, TAUGHT
from liveedit.config import EditorConfig
from liveedit.errors import CacheTooSmall
from liveedit.expert import Experts
from liveedit.network import EditorNetwork
from liveedit.representation import measure_scale
from liveedit.residual import RoutedExperts
from liveedit.scenes.scene import render
from liveedit.training import experts
from liveedit.training.states import CachedViews, cache_views, weights_digest


@pytest.fixture(scope="module")
def some() -> list[EditCase]:
    return list(islice(training_cases(), 5))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("states")


@pytest.fixture(scope="module")
def views(backbone: LlavaBackbone, some: list[EditCase], folder: Path) -> CachedViews:
    return cache_views(backbone, some, folder)


def test_cached_states_are_those_of_the_question_asked_alone(backbone, some, views) -> None:
    assert len(views) == 5
    chosen = [(3, REDRAWN), (0, 0)]
    batch = views.batch(*torch.tensor(chosen).T)
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
    shards = {path: path.stat().st_ino for path in folder.glob("*.safetensors")}
    again = cache_views(backbone, some, folder)
    assert torch.equal(again.all_states, views.all_states)
    assert shards == {path: path.stat().st_ino for path in folder.glob("*.safetensors")}


def test_other_corrections_or_views_are_other_shards(backbone, some, folder, views) -> None:
    before = set(folder.glob("*.safetensors"))
    fewer = cache_views(backbone, some[:3], folder)
    same = views.all_states[: len(fewer.all_states)]
    torch.testing.assert_close(fewer.all_states, same, atol=1e-4, rtol=1e-4)
    elsewhere = cache_views(backbone, some, folder, names=("edit", "elsewhere"))
    assert len(set(folder.glob("*.safetensors")) - before) == 2
    one = elsewhere.batch(torch.tensor([2]), torch.tensor([0]))
    torch.testing.assert_close(
        one.states, views.batch(torch.tensor([2]), torch.tensor([0])).states, atol=1e-4, rtol=1e-4
    )


def test_other_weights_are_another_digest(backbone) -> None:
    before = weights_digest(backbone)
    weight = backbone.model.get_input_embeddings().weight
    kept = weight[5, 3].clone()
    weight[5, 3] += 1
    assert weights_digest(backbone) != before
    weight[5, 3] = kept
    assert weights_digest(backbone) == before


def test_the_cache_is_bounded(backbone, some, tmp_path) -> None:
    """What was not used for longest goes, and never what the run needs."""
    cache_views(backbone, some[:2], tmp_path)
    (oldest,) = tmp_path.glob("*.safetensors")
    os.utime(oldest, (0, 0))
    cache_views(backbone, some[2:4], tmp_path)
    size = sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))
    cache_views(backbone, some[4:], tmp_path, limit=size)
    left = list(tmp_path.glob("*.safetensors"))
    assert len(left) == 2
    assert oldest not in left
    with pytest.raises(CacheTooSmall, match="raise --states-limit"):
        cache_views(backbone, some[:2], tmp_path, limit=10_000)


CACHING = """
import os, signal, sys
from pathlib import Path
import liveedit.training.states as states
from liveedit.backbones.registry import load_backbone
from itertools import islice
from liveedit.benchmark.emoji_edit import training_cases

save = states.save_file
def half(tensors, path):
    save(tensors, path)
    path.write_bytes(path.read_bytes()[:-7])
    os.kill(os.getpid(), signal.SIGKILL)
states.save_file = half
model, folder = sys.argv[1:]
states.cache_views(load_backbone(model), list(islice(training_cases(), 2)), Path(folder))
"""


def test_a_cache_killed_while_writing_holds_nothing_by_half(tiny_folder, tmp_path) -> None:
    command = [sys.executable, "-c", CACHING, str(tiny_folder), str(tmp_path)]
    died = subprocess.run(command, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]
    backbone = load_backbone(tiny_folder)
    assert len(cache_views(backbone, list(islice(training_cases(), 2)), tmp_path)) == 2


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
        if TAUGHT[view] == "rephrase":
            question = case.rephrase
        elif TAUGHT[view] == "redrawn":
            scene = scene.redrawn()
        elif TAUGHT[view] == "other image":
            scene = case.strict_scene
        elif TAUGHT[view] == "other question":
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
        batch = views.batch(torch.tensor([index]), torch.tensor([0]))
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
