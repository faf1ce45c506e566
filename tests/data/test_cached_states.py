import os
import signal
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
import torch

from liveedit.backbones.llava import LlavaBackbone
from liveedit.backbones.registry import load_backbone
from liveedit.data.cached_states import CachedViews, cache_views, weights_digest
from liveedit.data.emoji_edit.corrections import EditCase, training_cases
from liveedit.data.emoji_edit.knowledge import text_cases
from liveedit.data.emoji_edit.scene import render
from liveedit.data.views import REDRAWN, TEXT_TAUGHT
from liveedit.errors import CacheTooSmall
from liveedit.methods.liveedit.representation import measure_scale


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


def test_batches_go_to_the_device_of_the_edit_layer() -> None:
    away = CachedViews(
        ("edit",), states=torch.zeros(6, 2), ids=torch.arange(6), lengths=torch.tensor([3, 3]),
        targets=torch.tensor([1, 1]), device="meta",
    )  # fmt: skip
    batch = away.batch(torch.tensor([1, 0]), torch.tensor([0, 0]))
    tensors = (batch.states, batch.input_ids, batch.attention_mask, batch.target_lengths)
    assert {part.device.type for part in tensors} == {"meta"}
    assert away.all_states.device.type == "cpu"


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


def test_states_of_text_only_corrections(backbone, tmp_path) -> None:
    texts = list(islice(text_cases("train"), 3))
    views = cache_views(backbone, texts, tmp_path, names=TEXT_TAUGHT)
    batch = views.batch(torch.tensor([2, 1]), torch.tensor([2, 1]))
    for row, question in enumerate((texts[2].other_question, texts[1].rephrase)):
        query = backbone.query([None], [question], [texts[2 - row].target])
        length = query.input_ids.shape[1]
        assert torch.equal(batch.input_ids[row, -length:], query.input_ids[0])
        torch.testing.assert_close(
            batch.states[row, -length:], backbone.states(query)[0], atol=1e-4, rtol=1e-4
        )


def test_views_can_be_answered_by_other_words_than_the_target(
    backbone, some, folder, views
) -> None:
    before = set(folder.glob("*.safetensors"))
    targets = [[case.target] * 2 for case in some]
    names = ("edit", "fact")
    as_usual = cache_views(backbone, some, folder, names=names)
    assert torch.equal(
        cache_views(backbone, some, folder, names=names, answers=targets).all_states,
        as_usual.all_states,
    )
    assert len(set(folder.glob("*.safetensors")) - before) == 1
    answers = [[case.target, f"answer {number}"] for number, case in enumerate(some)]
    other = cache_views(backbone, some, folder, names=names, answers=answers)
    assert len(set(folder.glob("*.safetensors")) - before) == 2
    for number, case in enumerate(some):
        for view, question, image in ((0, case.question, render(case.scene)), (1, case.fact, None)):
            asked = question.text if view == 0 else question.question
            query = backbone.query([image], [asked], [answers[number][view]])
            batch = other.batch(torch.tensor([number]), torch.tensor([view]))
            assert torch.equal(batch.input_ids, query.input_ids)
            assert batch.target_lengths[0] == query.spans.target.sum()


def test_the_targets_embeddings_are_there_for_those_who_ask(backbone, views) -> None:
    scale = measure_scale(views.all_states)
    batch = views.batch(torch.tensor([3, 0]), torch.tensor([1, 0]))
    assert batch.representation(backbone, scale).lexical is None
    whole = batch.representation(backbone, scale, lexical=True)
    assert torch.equal(whole.lexical, backbone.lexical(batch.input_ids, whole.spans.target))
    assert whole.lexical.any()


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
import liveedit.data.cached_states as states
from liveedit.backbones.registry import load_backbone
from itertools import islice
from liveedit.data.emoji_edit.corrections import training_cases

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
