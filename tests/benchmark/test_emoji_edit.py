from functools import cache
from itertools import islice

import pytest

from liveedit.benchmark.emoji_edit import (
    EVALUATION_SIZE,
    EditCase,
    Split,
    cases,
    concepts_of,
    evaluation_set,
    validation_set,
)
from liveedit.benchmark.facts import facts_of
from liveedit.scenes.concepts import all_concepts
from liveedit.scenes.families import FAMILY_BY_NAME

SPLITS: tuple[Split, ...] = ("train", "validation", "evaluation")
_TRAINING_SAMPLE = 2000
PAIRS = [("train", "validation"), ("train", "evaluation"), ("validation", "evaluation")]


@cache
def drawn(split: Split) -> tuple[EditCase, ...]:
    """The whole of what is measured on, and a sample of what is trained on."""
    if split == "train":
        return tuple(islice(cases("train"), _TRAINING_SAMPLE))
    return tuple(validation_set() if split == "validation" else evaluation_set())


def scenes_of(case: EditCase):
    return case.scene, case.other_scene, case.strict_scene


def questions_of(case: EditCase):
    return case.question, case.rephrase, case.other_question, case.strict_question


def target_concepts(case: EditCase) -> set[str]:
    """Concepts that a target names; colours and categories are no concepts."""
    kind = FAMILY_BY_NAME[case.question.family].answer_type
    if kind == "caption":
        return {case.target.rpartition(" on ")[0]}
    return {case.target} if kind == "concept" else set()


def test_every_concept_is_in_one_split():
    names = [concept.name for split in SPLITS for concept in concepts_of(split)]
    assert sorted(names) == sorted(concept.name for concept in all_concepts())


@pytest.mark.parametrize("split", SPLITS)
def test_whatever_a_case_shows_or_names_is_of_its_split(split):
    allowed = {concept.name for concept in concepts_of(split)}
    for case in drawn(split):
        named = {question.thing for question in questions_of(case)} - {""}
        shown = {name for scene in scenes_of(case) for name in scene.concepts}
        assert shown | named | target_concepts(case) <= allowed, case.index


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_splits_share_no_picture_and_no_locality_probe(one, other):
    def pictures(split: Split) -> set:
        return {scene for case in drawn(split) for scene in scenes_of(case)}

    def probes(split: Split) -> set:
        return {(case.other_scene.concepts, case.other_question) for case in drawn(split)}

    assert not pictures(one) & pictures(other)
    assert not probes(one) & probes(other)
    facts = [{case.fact.question.casefold() for case in drawn(split)} for split in (one, other)]
    assert not facts[0] & facts[1]


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_splits_share_no_words_of_rephrased_questions(one, other):
    """Words that a question was trained to be rephrased in would not measure generality."""

    def words(split: Split) -> set[str]:
        texts = set()
        for case in drawn(split):
            family, thing = FAMILY_BY_NAME[case.rephrase.family], case.rephrase.thing
            for text in family.training + family.more + family.evaluation:
                if case.rephrase.text.endswith(text.format(thing=thing)):
                    texts.add(text)
        return texts

    assert words(one)
    assert not words(one) & words(other)


@pytest.mark.parametrize("split", SPLITS)
def test_facts_of_a_split(split):
    facts = facts_of(split)
    assert len({fact.question for fact in facts}) == len(facts) >= 20
    assert all(fact.split == split and fact.question and fact.answer for fact in facts)
    others = {
        fact.question.casefold() for other in SPLITS if other != split for fact in facts_of(other)
    }
    assert not {fact.question.casefold() for fact in facts} & others


def test_size_and_variety_of_the_evaluation():
    assert len(drawn("evaluation")) == EVALUATION_SIZE >= 2000
    assert {case.question.family for case in drawn("evaluation")} == set(FAMILY_BY_NAME)
    asked = {(c.question.family, tuple(sorted(c.scene.concepts))) for c in drawn("evaluation")}
    assert len(asked) == EVALUATION_SIZE, "the same is asked of the same things twice"


def test_cases_are_the_same_every_time():
    assert evaluation_set(50) == list(drawn("evaluation")[:50])
    assert validation_set(50) == list(drawn("validation")[:50])
    assert list(islice(cases("train"), 20)) == list(drawn("train")[:20])
    assert next(cases("train", start=7)) == drawn("train")[7]
    assert len(set(drawn("train"))) == _TRAINING_SAMPLE


@pytest.mark.parametrize("split", SPLITS)
def test_target_is_of_the_right_kind_and_wrong(split):
    for case in drawn(split):
        family = FAMILY_BY_NAME[case.question.family]
        assert case.target.strip()
        assert case.target != case.truth
        assert case.truth == family.truth(case.scene, case.question.thing)
        assert len(case.scene.concepts) in family.counts
        assert not target_concepts(case) & set(case.scene.concepts), case.index


@pytest.mark.parametrize("split", SPLITS)
def test_rephrased_question_asks_the_same_in_other_words(split):
    for case in drawn(split):
        assert case.rephrase.meaning == case.question.meaning
        assert case.rephrase.text != case.question.text
        for question in questions_of(case):
            assert question.thing in question.text
            assert "{" not in question.text


@pytest.mark.parametrize("split", SPLITS)
def test_unrelated_scene_shares_nothing_with_the_corrected_one(split):
    for case in drawn(split):
        assert not set(case.other_scene.concepts) & set(case.scene.concepts)
        assert len(case.other_scene.concepts) in FAMILY_BY_NAME[case.other_question.family].counts


@pytest.mark.parametrize("split", SPLITS)
def test_strict_scene_is_another_that_the_question_still_fits(split):
    for case in drawn(split):
        thing, family = case.question.thing, FAMILY_BY_NAME[case.question.family]
        assert len(case.strict_scene.concepts) == len(case.scene.concepts)
        assert len(set(case.strict_scene.concepts)) == len(case.strict_scene.concepts)
        assert not set(case.strict_scene.concepts) & set(case.scene.concepts) - {thing}
        if family.names_thing and family.name != "presence":
            assert thing in case.strict_scene.concepts


@pytest.mark.parametrize("split", SPLITS)
def test_strict_question_asks_something_else_of_the_same_scene(split):
    for case in drawn(split):
        strict = FAMILY_BY_NAME[case.strict_question.family]
        assert strict.name != case.question.family
        assert len(case.scene.concepts) in strict.counts
        if strict.names_thing and strict.name != "presence":
            assert case.strict_question.thing in case.scene.concepts
