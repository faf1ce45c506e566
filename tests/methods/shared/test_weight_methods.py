"""What every method must keep whose edits are changes of modules that build on each other."""

import threading

import pytest
import torch

from liveedit.backbones.query import Questions
from liveedit.backbones.registry import load_backbone
from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.errors import MethodCannot, StoreError, UnknownEdit
from liveedit.methods.base import Method
from liveedit.methods.registry import method_class
from liveedit.store import crash_points
from liveedit.store.memory import MemoryStore
from liveedit.store.picture_rules import Keep, PictureRules
from tests.backbones.families import tiny
from tests.methods.mend.networks import measured_network

ASKED, OTHER = "What animal is this?", "Where was it taken?"
SETTINGS = {
    "ft-l": {"steps": 4},
    "ft-m": {"steps": 4},
    "mend": {"strength": 0.3},
    # so that the side memory answers whatever the question activates
    "wise": {"steps": 2, "rate": 3.0, "per_mask": 2, "ratio": 1e-6},
    "lora": {"steps": 2, "rate": 2e-2},
}


def made(name: str, backbone) -> Method:
    """A method with settings that are quick, and a network of its own where it needs one."""
    kind = method_class(name)
    config = kind.config_class(**SETTINGS[name])
    if name != "mend":
        return kind(backbone, config)
    return kind(backbone, measured_network(backbone), config)


def again(method) -> Method:
    """The same method as another process makes it."""
    return made(method.name, method.backbone)


@pytest.fixture(params=list(SETTINGS))
def method(request, backbone) -> Method:
    return made(request.param, backbone)


@pytest.fixture
def model(method) -> EditedModel:
    return EditedModel(method)


def logits_of(model: EditedModel, picture, prompt: str = ASKED) -> torch.Tensor:
    asked = Questions(pictures=[picture], prompts=[prompt])
    with model._answering(asked) as query:
        return model.backbone.logits(query)


def plain(model: EditedModel, picture, prompt: str = ASKED) -> torch.Tensor:
    return model.backbone.logits(model.backbone.query([picture], [prompt]))


def test_an_edit_is_in_force_in_its_scope_alone(model, pictures) -> None:
    before = plain(model, pictures[0])
    model.edit(pictures[0], ASKED, "a lynx", keep=True)
    edited = logits_of(model, pictures[0])
    assert not torch.equal(edited, before)
    assert torch.equal(plain(model, pictures[0]), before)
    with model.namespace("other"):
        assert torch.equal(logits_of(model, pictures[0]), before)
    with model.at(0):
        assert torch.equal(logits_of(model, pictures[0]), before)
    with model.disabled():
        assert torch.equal(logits_of(model, pictures[0]), before)
    assert torch.equal(logits_of(model, pictures[0]), edited)


def test_the_target_becomes_likelier(model, pictures) -> None:
    def likelihood() -> float:
        asked = Questions(pictures=[pictures[0]], prompts=[ASKED], targets=["a lynx"])
        with model.method.apply(asked, model.store.pool()) as query:
            logits = model.backbone.logits(query).log_softmax(-1)
        keep = query.spans.predicts
        return float(logits[keep].gather(1, query.input_ids.roll(-1, 1)[keep][:, None]).mean())

    before = likelihood()
    model.edit(pictures[0], ASKED, "a lynx", keep=True)
    assert likelihood() > before + 0.1


def test_revoking_all_gives_the_unedited_logits(model, pictures) -> None:
    before = plain(model, pictures[1], OTHER)
    made = [
        model.edit(picture, ASKED, target, keep=True)
        for picture, target in zip(pictures, ("a lynx", "a cat", "a hen"), strict=True)
    ]
    assert not torch.equal(logits_of(model, pictures[1], OTHER), before)
    for one in made:
        model.revoke(one.id)
    assert model.edits == ()
    assert torch.equal(logits_of(model, pictures[1], OTHER), before)
    with pytest.raises(UnknownEdit):
        model.revoke(made[0].id)


def test_revoking_makes_the_later_ones_again_without_it(model, method, pictures) -> None:
    first = model.edit(pictures[0], ASKED, "a lynx", keep=True)
    second = model.edit(pictures[1], ASKED, "a cat", keep=True)
    with model.namespace("apart"):
        model.edit(pictures[2], ASKED, "a hen", keep=True)
        apart = logits_of(model, pictures[2])
    both = logits_of(model, pictures[1])
    model.revoke(first.id)
    alone = EditedModel(method)
    alone.edit(pictures[1], ASKED, "a cat", keep=True)
    assert torch.equal(logits_of(model, pictures[1]), logits_of(alone, pictures[1]))
    (left,) = (edit for edit in model.edits if not edit.namespace)
    assert (left.target, left.supersedes) == ("a cat", (second.id,))
    assert left.created == second.edit.created
    with model.namespace("apart"):
        assert torch.equal(logits_of(model, pictures[2]), apart)
    with model.at(2):
        assert torch.equal(logits_of(model, pictures[1]), both)
    with pytest.raises(MethodCannot, match="put a revoked edit in force again"):
        model.restore(first.id)
    model.revoke(second.id)  # the old name means what was made again
    assert [edit.namespace for edit in model.edits] == ["apart"]


def test_several_are_taken_back_together_and_later_ones_made_again_once(
    model, method, pictures
) -> None:
    made = [
        model.edit(pictures[at % 3], question, target, keep=True)
        for at, (question, target) in enumerate(
            ((ASKED, "a lynx"), (ASKED, "a cat"), (OTHER, "a hen"), (OTHER, "a dog"))
        )
    ]
    with model.namespace("apart"):
        gone = model.edit(pictures[2], ASKED, "a fox", keep=True)
        model.edit(pictures[1], ASKED, "an owl", keep=True)
    with pytest.raises(UnknownEdit):
        model.revoke_many([made[0].id, "no-such-edit"])
    assert len(model.edits) == 6, "all or none"
    revision = model.store.revision
    assert model.revoke_many([]) == []
    assert model.store.revision == revision
    taken = model.revoke_many([made[2].id, made[0].id, gone.id, made[0].id])
    assert [edit.id for edit in taken] == [made[2].id, made[0].id, gone.id]
    assert model.store.revision <= revision + 2, "one write, not one for each"
    alone = EditedModel(method)
    alone.edit(pictures[1], ASKED, "a cat", keep=True)
    alone.edit(pictures[0], OTHER, "a dog", keep=True)
    with alone.namespace("apart"):
        alone.edit(pictures[1], ASKED, "an owl", keep=True)
    assert sorted(edit.target for edit in model.edits) == ["a cat", "a dog", "an owl"]
    assert torch.equal(logits_of(model, pictures[1]), logits_of(alone, pictures[1]))
    with model.namespace("apart"), alone.namespace("apart"):
        assert torch.equal(logits_of(model, pictures[1]), logits_of(alone, pictures[1]))


def test_what_an_edit_had_superseded_comes_back(model, method, pictures) -> None:
    model.edit(pictures[0], ASKED, "a lynx", keep=True)
    newer = model.edit(pictures[0], "what animal is this", "a cat", keep=True)
    assert [one.kind for one in newer.conflicts] == ["contradicts"]
    model.edit(pictures[1], OTHER, "in a zoo", keep=True)
    assert {edit.target for edit in model.edits} == {"a cat", "in a zoo"}
    model.revoke(newer.id)
    assert [edit.target for edit in model.edits] == ["a lynx", "in a zoo"]
    alone = EditedModel(method)
    alone.edit(pictures[0], ASKED, "a lynx", keep=True)
    alone.edit(pictures[1], OTHER, "in a zoo", keep=True)
    assert torch.equal(logits_of(model, pictures[1]), logits_of(alone, pictures[1]))


def test_without_the_pictures_revoking_is_refused(method, pictures) -> None:
    store = MemoryStore(method.layout, pictures=PictureRules(keep=Keep.off))
    model = EditedModel(method, store)
    first = model.edit(pictures[0], ASKED, "a lynx", keep=True)
    second = model.edit(pictures[1], ASKED, "a cat", keep=True)
    with pytest.raises(MethodCannot, match=f"the picture of {second.id} is not kept"):
        model.revoke(first.id)
    assert len(model.edits) == 2
    model.revoke(second.id)
    model.revoke(first.id)
    assert model.edits == ()


def test_a_restart_gives_the_same_answers(method, pictures, tmp_path) -> None:
    location = tmp_path / "edits.db"
    model = EditedModel(method, location)
    first = model.edit(pictures[0], ASKED, "a lynx", keep=True)
    for at, target in enumerate(("a cat", "a hen", "a dog")):
        model.edit(pictures[at], OTHER, target, keep=True)
    model.revoke(first.id)
    edited = logits_of(model, pictures[1])
    restarted = EditedModel(again(method), location)
    assert torch.equal(logits_of(restarted, pictures[1]), edited)
    assert [edit.target for edit in restarted.edits] == ["a cat", "a hen", "a dog"]


def test_a_revocation_that_dies_in_the_middle_changes_nothing(
    method, pictures, tmp_path, monkeypatch
) -> None:
    model = EditedModel(method, tmp_path / "edits.db")
    first = model.edit(pictures[0], ASKED, "a lynx", keep=True)
    model.edit(pictures[1], ASKED, "a cat", keep=True)
    edited = logits_of(model, pictures[1])
    monkeypatch.setattr(crash_points, "reached", _dies_at("experts"))
    with pytest.raises(_Died):
        model.revoke(first.id)
    monkeypatch.undo()
    restarted = EditedModel(again(method), tmp_path / "edits.db")
    for one in (model, restarted):
        assert [edit.target for edit in one.edits] == ["a lynx", "a cat"]
        assert torch.equal(logits_of(one, pictures[1]), edited)


def test_a_store_that_was_changed_meanwhile_is_left_alone(method, pictures, tmp_path) -> None:
    for place in (None, tmp_path / "edits.db"):
        model = EditedModel(method, place)
        made = model.edit(pictures[0], ASKED, "a lynx", keep=True)
        keys = model.store.pool().keys.whole
        values = model.store.pool().take(None)
        with pytest.raises(StoreError, match="do it again"):
            model.store.replace([made.id], [made.edit], keys, values, revision=0)
        assert [edit.id for edit in model.edits] == [made.id]


def test_a_batch_answers_as_its_rows_alone(method, pictures) -> None:
    model = EditedModel(method)
    corrections = [
        Correction(image=picture, prompt=ASKED, target=target)
        for picture, target in zip(pictures, ("a lynx", "a cat", "a hen"), strict=True)
    ]
    model.edit_many(corrections, namespaces=["a", "b", "a"], keep=True)
    asked = Questions(pictures=pictures, prompts=[ASKED] * 3, targets=["a lynx", "a cat", "a hen"])
    with method.apply(asked, model.store.pool(namespaces=["a", "b", "none"])) as query:
        together = method.backbone.logits(query)
        keep = query.spans.predicts
    for row, space in enumerate(("a", "b", "none")):
        one = Questions(pictures=[pictures[row]], prompts=[ASKED], targets=[asked.targets[row]])
        with method.apply(one, model.store.pool(namespaces=[space])) as query:
            alone = method.backbone.logits(query)[query.spans.predicts]
        torch.testing.assert_close(together[row][keep[row]], alone, atol=1e-4, rtol=1e-4)
    answers = model.generate(pictures, [ASKED] * 3, max_new_tokens=3, num_beams=2)
    assert len(answers) == 3


def test_edits_of_one_batch_build_on_each_other(method, pictures) -> None:
    together, singly = EditedModel(method), EditedModel(method)
    corrections = [
        Correction(image=picture, prompt=ASKED, target=target)
        for picture, target in zip(pictures[:2], ("a lynx", "a cat"), strict=True)
    ]
    together.edit_many(corrections, keep=True)
    for one in corrections:
        singly.edit_many([one], keep=True)
    assert torch.equal(logits_of(together, pictures[0]), logits_of(singly, pictures[0]))


def test_threads_never_meet(model, pictures) -> None:
    spaces = ("a", "b")
    for space, target in zip(spaces, ("a lynx", "a cat"), strict=True):
        with model.namespace(space):
            model.edit(pictures[0], ASKED, target, keep=True)
    expected = {"": plain(model, pictures[0])}
    for space in spaces:
        with model.namespace(space):
            expected[space] = logits_of(model, pictures[0])
    wrong = []

    def ask(space: str) -> None:
        for _ in range(5):
            with model.namespace(space):
                if not torch.equal(logits_of(model, pictures[0]), expected[space]):
                    wrong.append(space)

    threads = [threading.Thread(target=ask, args=(space,)) for space in ("a", "b", "")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_every_edit_in_force_concerns_every_question(model, pictures) -> None:
    model.edit(pictures[0], ASKED, "a lynx", keep=True)
    model.edit(None, "Who founded Rome?", "Maria", keep=True)
    assert [one.weight for one in model.explain(pictures[1], OTHER)] == [1.0, 1.0]


def test_a_saved_model_comes_back_with_its_settings(
    method, tiny_folder, pictures, tmp_path
) -> None:
    method.save(tmp_path / "editor", load_backbone(tiny_folder, dtype=torch.float32).fingerprint())
    model = EditedModel.from_pretrained(
        tiny_folder,
        method=method.name,
        editor=tmp_path / "editor",
        config=method.config,
        dtype=torch.float32,
    )
    model.edit(pictures[0], ASKED, "a lynx", keep=True)
    edited = logits_of(model, pictures[1])
    saved = model.save_pretrained(tmp_path / "saved")
    restored = EditedModel.from_pretrained(saved, dtype=torch.float32)
    assert restored.method.describe() == model.method.describe()
    assert torch.equal(logits_of(restored, pictures[1]), edited)


@pytest.mark.parametrize("family", ["qwen3_vl", "gemma3", "blip-2"])
def test_families(method, family, pictures) -> None:
    model = EditedModel(made(method.name, tiny(family)))
    before = plain(model, pictures[0])
    model.edit(pictures[0], ASKED, "ab", keep=True)
    assert not torch.equal(logits_of(model, pictures[0]), before)
    assert torch.equal(plain(model, pictures[0]), before)
    answers = model.generate(pictures[:2], [ASKED, OTHER], max_new_tokens=3)
    assert len(answers) == 2
    model.revoke(model.edits[0].id)
    assert torch.equal(logits_of(model, pictures[0]), before)


class _Died(Exception):
    pass


def _dies_at(point: str):
    def reached(here: str) -> None:
        if here == point:
            raise _Died

    return reached
