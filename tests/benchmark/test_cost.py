"""What edits cost: seconds, bytes, answering, taking back."""

from __future__ import annotations

import time
from contextlib import contextmanager

import pytest
import torch

from liveedit.benchmark.cost import measure_cost
from liveedit.benchmark.editing_cost import Editing, bytes_per_edit, editing_of
from liveedit.benchmark.suite import emoji_suite
from liveedit.editor import EditedModel
from liveedit.methods.base import Abilities
from liveedit.methods.ft_l.config import FineTuningLConfig
from liveedit.methods.ft_l.method import FineTuningL
from liveedit.methods.grace.config import GraceConfig
from liveedit.methods.grace.method import Grace


def test_an_edit_weighs_what_is_stored_of_it(backbone, pictures) -> None:
    model = EditedModel(Grace(backbone, GraceConfig(steps=0)))
    assert bytes_per_edit(model.store) == 0
    for picture in pictures:
        model.edit(picture, "What is this?", "a lynx", keep=True)
    pool = model.store.pool()
    values = sum(one.nbytes for one in pool.take(None)["value"]) / len(pictures)
    keys = sum(vectors[0].numel() * 4 for vectors in pool.keys.whole.vectors.values())
    assert bytes_per_edit(model.store) == values + keys
    with model.namespace("other"):
        model.edit(pictures[0], "Where?", "here", keep=True)
    assert bytes_per_edit(model.store) == values + keys


def test_of_several_parts_each_edit_counts_alike() -> None:
    parts = [
        Editing(edits=3, seconds=6.0, bytes_per_edit=100),
        Editing(edits=1, seconds=1.0, bytes_per_edit=500),
    ]
    assert editing_of(parts) == {"seconds_per_edit": 1.75, "bytes_per_edit": 200}
    assert editing_of([]) == {}


def test_costs_of_a_method_whose_edits_build_on_each_other(backbone, monkeypatch) -> None:
    monkeypatch.setattr("liveedit.benchmark.cost.LATER", (0, 2, 9))
    method = FineTuningL(backbone, FineTuningLConfig(steps=2))
    slow = method.learn

    def learn(*arguments):
        time.sleep(0.05)
        return slow(*arguments)

    monkeypatch.setattr(method, "learn", learn)
    model = EditedModel(method)
    found = measure_cost(
        model, emoji_suite("validation", 4), edits=4, questions=1, rounds=1, about={"split": "v"}
    )
    assert (found["method"], found["edits"], found["split"]) == ("ft-l", 4, "v")
    assert found["seconds_per_edit"] > 0.05
    assert found["seconds_editing"] > 4 * 0.05
    assert found["bytes_per_edit"] > 2 * 64 * 96, "a matrix in half precision"
    for part in ("prefill", "decode"):
        figures = found[part]
        assert figures["ratio"] == pytest.approx(figures["seconds"] / figures["unedited"], rel=0.05)
    # of four edits none was made nine edits ago; with two later ones these are made again
    assert found["revoke"].keys() == {"0", "2"}
    assert found["revoke"]["2"] > max(0.1, found["revoke"]["0"])
    assert found["undone"] == {"questions": 1, "changed": 1, "same": 1}
    assert not model.edits


def test_what_is_left_when_all_is_taken_back_is_told(backbone, monkeypatch) -> None:
    method = FineTuningL(backbone, FineTuningLConfig(steps=2))
    whole = type(method).apply

    @contextmanager
    def leaking(self, questions, pool, tell=None):
        with whole(self, questions, pool, tell) as query, torch.no_grad():
            bias = torch.zeros(backbone.width).index_fill(0, torch.tensor([0]), 1.0)
            hook = backbone.layer.register_forward_hook(lambda *at: at[2] + bias)
            yield query
            hook.remove()

    monkeypatch.setattr(FineTuningL, "apply", leaking)
    found = measure_cost(
        EditedModel(method), emoji_suite("validation", 2), edits=2, questions=2, rounds=1
    )
    assert found["undone"] == {"questions": 2, "changed": 2, "same": 0}


def test_what_cannot_be_taken_back_has_no_cost(backbone, monkeypatch) -> None:
    monkeypatch.setattr(Grace, "abilities", Abilities(revoke="never"))
    model = EditedModel(Grace(backbone, GraceConfig(steps=0)))
    found = measure_cost(model, emoji_suite("validation", 1), edits=1, questions=1, rounds=1)
    assert found["revoke"] is found["undone"] is None
