"""The protocol against a literal one: fresh models, one edit and one question at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch

from liveedit.backbones.query import Questions
from liveedit.benchmark import asking as asking_module
from liveedit.benchmark.metrics import TEXT_VIEW_OF, VIEW_OF
from liveedit.benchmark.probes import read_probes
from liveedit.benchmark.protocol import Protocol, correction_of
from liveedit.benchmark.suite import Group, groups_of
from liveedit.data.emoji_edit.scene import render
from liveedit.editor import EditedModel
from liveedit.methods.liveedit.config import LiveEditConfig

TOKENS = 6
WANT_TARGET = {"rel", "t_gen", "m_gen", "text_rel", "text_gen"}
NONE_FIRED, ALL_FIRE, SOME_FIRE = -100.0, 5.0, -8.0
Records = dict[tuple[int, int, str], dict[str, Any]]


def probes_of(case: Any) -> dict[str, tuple[Any, str]]:
    """Picture and question of every metric of a correction with a picture."""
    here = render(case.scene)
    return {
        "rel": (here, case.question.text),
        "t_gen": (here, case.rephrase.text),
        "m_gen": (render(case.scene.redrawn()), case.question.text),
        "t_loc": (None, case.fact.question),
        "m_loc": (render(case.other_scene), case.other_question.text),
        "ri": (render(case.strict_scene), case.question.text),
        "ci": (here, case.strict_question.text),
        "ni": (None, case.question.text),
    }


def text_probes_of(case: Any) -> dict[str, tuple[Any, str]]:
    """The same of a text-only one."""
    return {
        "text_rel": (None, case.question),
        "text_gen": (None, case.rephrase),
        "text_strict": (None, case.other_question),
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def protocol_of(pictured, texts, folder) -> Callable[..., Protocol]:
    """Makes protocols, with probes that were read for a model."""

    def make(model: EditedModel, *, asked: int | None = None, **options: Any) -> Protocol:
        readings = (
            read_probes(
                model.backbone, some, folder,
                views=views, max_new_tokens=TOKENS, asked=asked,
            )
            for some, views in ((pictured, VIEW_OF), (texts, TEXT_VIEW_OF))
        )  # fmt: skip
        return Protocol(model, *readings, max_new_tokens=TOKENS, **options)

    return make


def by_probe(records: Iterable[dict[str, Any]]) -> Records:
    return {(one["group"], one["case"], one["metric"]): one for one in records}


def literal(
    make: Callable[[], EditedModel], groups: list[Group], pictured: list, texts: list
) -> Records:
    found: Records = {}
    for number, group in enumerate(groups):
        model, ids = make(), {}
        for at in group.edited:
            image, prompt = probes_of(pictured[at])["rel"]
            ids["rel", at] = model.edit(image, prompt, pictured[at].target, keep=True).id
        for at in group.texts:
            prompt = texts[at].question
            ids["text_rel", at] = model.edit(None, prompt, texts[at].target, keep=True).id
        asked = group.edited if group.asked is None else group.asked
        for cases, those, probes, kind in (
            (pictured, asked, probes_of, "rel"),
            (texts, group.texts, text_probes_of, "text_rel"),
        ):
            for at in those:
                for metric, probe in probes(cases[at]).items():
                    record = ask(model, *probe, cases[at].target, metric in WANT_TARGET)
                    thought = {one.edit.id: one for one in model.explain(*probe)}
                    own = thought.get(ids[kind, at])
                    both_see = probe[0] is not None and kind == "rel"
                    alike = (probe[0] is not None) == (kind == "rel")
                    heaviest = max(thought.values(), key=lambda one: one.weight)
                    of = {edit_id: edit for edit, edit_id in ids.items()}[heaviest.edit.id]
                    found[number, at, metric] = record | {
                        "passed": sum(one.weight != 0 for one in thought.values()),
                        "own": own.weight if own else 0.0,
                        "margin": own.vision - own.threshold if own and both_see else None,
                        "asked": own.prompt if own and alike else None,
                        "top": (of[0] == "text_rel", of[1]) if heaviest.weight else None,
                    }
    return found


def ask(
    model: EditedModel, image: Any, prompt: str, target: str, want_target: bool
) -> dict[str, Any]:
    with model.disabled():
        unedited = model.generate([image], [prompt], max_new_tokens=TOKENS)[0]
    expected = target if want_target else unedited
    query = model.backbone.query([image], [prompt], [expected])
    states, asked = model.backbone.states(query), Questions(pictures=[image], prompts=[prompt])
    # all but the end of the answer
    after, before = (
        model.method.target_logits(query, states, pool, asked).argmax(1)[:-1]
        for pool in (model._pool(), model.store.pool(()))
    )
    tokens = query.input_ids[query.spans.target][:-1]
    answer = model.generate([image], [prompt], max_new_tokens=TOKENS)[0]

    def share(one: torch.Tensor, other: torch.Tensor) -> float:
        return int((one == other).sum()) / len(one) if len(one) else 1.0

    return {
        "prompt": prompt,
        "expected": expected,
        "answer": answer,
        "accuracy": share(after, tokens if want_target else before),
        "before": share(before, tokens) if want_target else None,
        "exact": answer.lower().rstrip(".") == expected.lower().rstrip("."),
    }


def rounded_alike(record: dict[str, Any]) -> dict[str, Any]:
    """A record as it is expected of the same model built again: last digits may be others."""
    near = ("own", "margin", "asked")
    return record | {
        name: None if record[name] is None else pytest.approx(record[name], abs=1e-3)
        for name in near
    }


GROUPS = {
    "1": groups_of(5, 3, 1),
    "2": groups_of(5, 3, 2),  # the last one is a tail of one
    "5": groups_of(5, 3, 5),
    "first": [Group(edited=range(4), texts=(2, 0), asked=range(2))],
}


@pytest.mark.parametrize("bias", [ALL_FIRE, SOME_FIRE])
@pytest.mark.parametrize("groups", GROUPS.values(), ids=GROUPS)
def test_every_probe_gets_what_it_gets_in_a_literal_run(
    make_model, protocol_of, pictured, texts, bias, groups
) -> None:
    records = list(protocol_of(make_model(bias)).run(groups))
    found = by_probe(records)
    expected = literal(lambda: make_model(bias), groups, pictured, texts)
    assert len(records) == len(found)
    assert found.keys() == expected.keys()
    for probe, record in expected.items():
        near = {name: record.pop(name) for name in ("own", "margin", "asked")}
        top = record.pop("top")
        assert {name: found[probe][name] for name in record} == record, probe
        for name, value in near.items():
            assert found[probe][name] == pytest.approx(value, abs=1e-3), (probe, name)
        heaviest = found[probe]["top"]
        if top is None:
            assert heaviest is None
        else:
            assert (heaviest["text_only"], heaviest["case"]) == top, probe
    passed = [record["passed"] for record in records]
    assert (min(passed) > 0) == (bias == ALL_FIRE), "the example is not what it is meant to be"
    assert len({record["accuracy"] for record in records}) > 1


def test_refined_experts_are_those_of_a_group_by_itself(
    make_model, protocol_of, pictured, texts
) -> None:
    def make() -> EditedModel:
        return make_model(ALL_FIRE, LiveEditConfig(refine_steps=3, refine_rate=0.1))

    steps = 0
    for group in groups_of(5, 3, 2):
        records = by_probe(protocol_of(make()).run([group]))
        alone = make()
        both = ((pictured, group.edited, probes_of), (texts, group.texts, text_probes_of))
        for cases, those, _ in both:
            made = alone.edit_many([correction_of(cases[at]) for at in those], keep=True)
            steps += sum(one.steps for one in made)
        for cases, those, probes in both:
            for at in those:
                for metric, probe in probes(cases[at]).items():
                    record = ask(alone, *probe, cases[at].target, metric in WANT_TARGET)
                    found = records[0, at, metric]
                    assert {name: found[name] for name in record} == record
    assert steps, "no expert is refined"


def counting(monkeypatch: pytest.MonkeyPatch, model: EditedModel) -> Counter[str]:
    """Counts answers that are generated and batches that are predicted, edits' own left out."""
    calls: Counter[str] = Counter()
    generate, predict = model.backbone.generate, asking_module.predictions

    def generating(*args: Any, **options: Any) -> Any:
        calls["generate"] += 1
        return generate(*args, **options)

    def predicting(*args: Any) -> Any:
        calls["predict"] += 1
        return predict(*args)

    monkeypatch.setattr(model.backbone, "generate", generating)
    monkeypatch.setattr(asking_module, "predictions", predicting)
    return calls


def test_what_is_known_is_not_computed_again(make_model, protocol_of, monkeypatch) -> None:
    model = make_model(SOME_FIRE)
    protocol = protocol_of(model)
    calls = counting(monkeypatch, model)
    first = list(protocol.run(groups_of(5, 3, 2)))
    assert calls["generate"] > 0
    assert calls["predict"] > 0
    calls.clear()
    assert list(protocol.run(groups_of(5, 3, 2))) == first
    assert not calls


def test_other_edits_beside_change_nothing_for_probes_they_do_not_concern(
    make_model, protocol_of
) -> None:
    """Text-only edits do not answer questions with a picture, though all fire."""
    model = make_model(ALL_FIRE)
    protocol = protocol_of(model)
    few, more = (Group(edited=range(3), texts=texts) for texts in ((), (1,)))
    alone = by_probe(protocol.run([few]))
    beside = by_probe(protocol.run([more]))
    for probe, record in alone.items():
        # matrix products of another size round otherwise
        same = rounded_alike(beside[probe]) == record
        assert same == (probe[2] not in ("t_loc", "ni")), probe


def test_a_probe_that_no_edit_concerns_gets_the_unedited_answer(
    make_model, protocol_of, pictured, texts
) -> None:
    model = make_model(SOME_FIRE)
    records = list(protocol_of(model).run(groups_of(5, 3, 2)))
    unconcerned = [record for record in records if not record["passed"]]
    assert {"m_gen", "t_gen", "t_loc", "m_loc", "ci", "ni"} <= {
        record["metric"] for record in unconcerned
    }
    probes = {
        (at, metric): probe
        for cases, of in ((pictured, probes_of), (texts, text_probes_of))
        for at, case in enumerate(cases)
        for metric, probe in of(case).items()
    }
    for record in unconcerned:
        image, prompt = probes[record["case"], record["metric"]]
        query = model.backbone.query([image], [prompt])
        (answer,) = model.backbone.generate(query, max_new_tokens=TOKENS)
        assert record["answer"] == answer.strip()
        assert record["own"] == 0
        if record["metric"] in WANT_TARGET:
            assert record["accuracy"] == record["before"]
        else:
            assert record["exact"]
            assert record["accuracy"] == 1


def test_nothing_fires_nothing_changes(make_model, protocol_of, monkeypatch) -> None:
    model = make_model(NONE_FIRED)
    protocol = protocol_of(model)
    calls = counting(monkeypatch, model)
    for record in protocol.run(groups_of(5, 3, 5)):
        assert record["passed"] == 0
        local = record["metric"] not in WANT_TARGET
        assert record["accuracy"] == (1 if local else record["before"])
    assert calls["predict"] == 0, "what the unedited model predicts was read already"


def test_without_generation_there_are_no_answers(make_model, protocol_of, monkeypatch) -> None:
    model = make_model(SOME_FIRE)
    groups = groups_of(5, 3, 2)
    with_answers = list(protocol_of(model).run(groups))
    protocol = protocol_of(model, generate=False)
    calls = counting(monkeypatch, model)
    records = list(protocol.run(groups))
    assert calls["generate"] == 0
    assert all(record["answer"] is record["exact"] is None for record in records)
    for record, other in zip(records, with_answers, strict=True):
        assert record | {"answer": None, "exact": None} == other | {"answer": None, "exact": None}


def test_an_editor_without_text_router_makes_no_text_only_edits(make_model, protocol_of) -> None:
    groups = groups_of(5, 3, 2)
    with_it = by_probe(protocol_of(make_model(ALL_FIRE)).run(groups))
    without = by_probe(protocol_of(make_model(ALL_FIRE, text_router=False)).run(groups))
    assert without.keys() == with_it.keys(), "text-only corrections are asked about all the same"
    for probe, record in without.items():
        if probe[2] in ("t_loc", "ni", "text_rel", "text_gen", "text_strict"):
            assert record["passed"] == record["own"] == 0
            assert with_it[probe]["passed"] > 0
        else:
            assert rounded_alike(record) == with_it[probe]


def test_only_some_need_to_be_read_where_only_they_are_asked(make_model, protocol_of) -> None:
    groups = [Group(edited=range(5), texts=(), asked=range(2))]
    model = make_model(4.0)
    whole = list(protocol_of(model).run(groups))
    some = list(protocol_of(model, asked=2).run(groups))
    assert [rounded_alike(record) for record in some] == whole


def test_an_editor_that_could_be_trained_further_is_measured_alike(
    make_model, protocol_of
) -> None:  # fmt: skip
    model = make_model(SOME_FIRE)
    expected = list(protocol_of(model).run(groups_of(5, 3, 5)))
    model.method.network.requires_grad_(True)
    assert list(protocol_of(model).run(groups_of(5, 3, 5))) == expected


def test_groups_follow_each_other_and_end_with_a_tail() -> None:
    groups = groups_of(25, 7, 10)
    assert [list(group.edited) for group in groups] == [
        list(range(10)), list(range(10, 20)), list(range(20, 25)),
    ]  # fmt: skip
    assert all(group.probed == group.edited for group in groups)
    assert [list(group.texts) for group in groups] == [[0], [1], [2]]


@pytest.mark.parametrize(
    ("count", "texts", "edits", "beside"),
    [
        (3, 2, 1, [[0], [1], [0]]),  # in turn
        (60, 200, 25, [[0, 1, 2], [3, 4, 5], [6, 7, 8]]),  # a tenth, rounded up
        (70, 200, 70, [[0, 1, 2, 3, 4, 5, 6]]),
        (40, 2, 100, [[0, 1]]),  # not more than there are
        (4, 0, 2, [[], []]),
    ],
)
def test_text_only_corrections_beside_a_group(count, texts, edits, beside) -> None:
    assert [list(group.texts) for group in groups_of(count, texts, edits)] == beside
