from collections import defaultdict
from functools import cache
from itertools import islice

import pytest

from liveedit.data.emoji_edit import corrections
from liveedit.data.emoji_edit.concepts import Split, all_concepts
from liveedit.data.emoji_edit.corrections import (
    EVALUATION_SIZE,
    EditCase,
    concepts_of,
    evaluation_set,
    training_cases,
    validation_set,
)
from liveedit.data.emoji_edit.facts import facts_of
from liveedit.data.emoji_edit.families import FAMILY_BY_NAME, Family, category_of
from liveedit.data.emoji_edit.questions import Question

SPLITS: tuple[Split, ...] = ("train", "validation", "evaluation")
MEASURED: tuple[Split, ...] = ("validation", "evaluation")
_TRAINING_SAMPLE = 2000
PAIRS = [("train", "validation"), ("train", "evaluation"), ("validation", "evaluation")]


@cache
def drawn(split: Split) -> tuple[EditCase, ...]:
    """The whole of what is measured on, and a sample of what is trained on."""
    if split == "train":
        return tuple(islice(training_cases(), _TRAINING_SAMPLE))
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


def rephrasings_of(family: Family, split: Split) -> tuple[str, ...]:
    """Phrasings that one split alone rephrases in."""
    return family.training[-2:] if split == "validation" else family.evaluation


@pytest.mark.parametrize("split", MEASURED)
def test_questions_are_rephrased_in_the_splits_own_words(split):
    """Words that a question was trained to be rephrased in would not measure generality."""
    for case in drawn(split):
        family, thing = FAMILY_BY_NAME[case.question.family], case.question.thing
        asked, again = (
            [text.format(thing=thing) for text in texts]
            for texts in (family.training[:-2], rephrasings_of(family, split))
        )
        assert not set(asked) & set(again)
        assert case.question.text in asked
        assert case.rephrase.text in again


@pytest.mark.parametrize("split", MEASURED)
def test_no_training_question_is_in_words_of_another_split(split):
    for case in drawn("train"):
        for question in questions_of(case):
            for text in rephrasings_of(FAMILY_BY_NAME[question.family], split):
                reserved = text.format(thing=question.thing)
                # there may be other words around it
                assert not question.text.casefold().endswith(reserved.casefold()), question


def test_training_questions_come_in_ever_new_words():
    """Many more than phrasings there are to choose from."""

    def words(questions: list[Question]) -> set[str]:
        return {question.text.replace(question.thing or " ", "...") for question in questions}

    early, late = (
        words([question for case in some for question in (case.question, case.rephrase)])
        for some in (drawn("train")[:1000], drawn("train")[1000:])
    )
    phrasings = sum(len(family.training + family.more) for family in FAMILY_BY_NAME.values())
    assert len(early | late) > 2 * phrasings
    assert len(late - early) > len(late) / 2


@pytest.mark.parametrize("split", SPLITS)
def test_facts_of_a_split(split):
    def words(split: Split) -> list[str]:
        return [
            text.casefold() for fact in facts_of(split) for text in (fact.question, fact.rephrase)
        ]

    facts = facts_of(split)
    assert len(set(words(split))) == 2 * len(facts) >= 40
    assert all(fact.split == split and fact.answer for fact in facts)
    others = {text for other in SPLITS if other != split for text in words(other)}
    assert not set(words(split)) & others


def test_size_and_variety_of_the_evaluation():
    assert len(drawn("evaluation")) == EVALUATION_SIZE >= 2000
    assert {case.question.family for case in drawn("evaluation")} == set(FAMILY_BY_NAME)
    asked = {(c.question.family, tuple(sorted(c.scene.concepts))) for c in drawn("evaluation")}
    assert len(asked) == EVALUATION_SIZE, "the same is asked of the same things twice"


def test_cases_are_the_same_every_time():
    before = drawn("evaluation"), drawn("validation")
    corrections._fixed.cache_clear()
    assert (tuple(evaluation_set()), tuple(validation_set())) == before
    assert evaluation_set(50) == list(drawn("evaluation")[:50])
    assert validation_set(50) == list(drawn("validation")[:50])
    assert list(islice(training_cases(), 20)) == list(drawn("train")[:20])
    assert next(training_cases(start=7)) == drawn("train")[7]
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
        assert set(case.strict_scene.concepts) != set(case.scene.concepts)
        if family.names_thing and family.name != "presence":
            assert thing in case.strict_scene.concepts


@pytest.mark.parametrize("split", MEASURED)
def test_strict_scene_shares_nothing_but_what_the_question_names(split):
    for case in drawn(split):
        shared = set(case.strict_scene.concepts) & set(case.scene.concepts)
        assert shared <= {case.question.thing}


def test_strict_scene_in_training_looks_alike():
    """Often some of the things are the same, or others are of their kind."""
    scenes = [(set(c.scene.concepts), set(c.strict_scene.concepts)) for c in drawn("train")]
    several = [(shown, strict) for shown, strict in scenes if len(shown) > 1]
    sharing = sum(bool(shown & strict) for shown, strict in several)
    assert 0.4 < sharing / len(several) < 0.95
    single = [(*shown, *strict) for shown, strict in scenes if len(shown) == 1]
    of_its_kind = sum(category_of(one) == category_of(other) for one, other in single)
    assert 0.3 < of_its_kind / len(single) < 0.8


# of two questions about the same things one answer tells of the other
WHICH_THING = ("name", "caption", "left", "right", "middle", "beside")
ENTAILED = [
    ("caption", "name"), ("caption", "left"), ("caption", "right"), ("caption", "middle"),
    ("caption", "beside"), ("caption", "ground"), ("caption", "category"), ("caption", "use"),
    ("caption", "side"), ("side", "left"), ("side", "right"), ("side", "middle"),
    ("beside", "left"), ("beside", "right"), ("name", "category"), ("name", "use"),
    ("category", "use"),
]  # fmt: skip


@pytest.mark.parametrize("split", MEASURED)
def test_no_locality_probe_asks_what_a_correction_does_or_entails(split):
    """An edit would rightly change the answer to such a probe."""
    compared = 0
    for case in drawn(split):
        for question, scene in (
            (case.question, case.strict_scene),
            (case.strict_question, case.scene),
            (case.other_question, case.other_scene),
        ):
            for edit in about_the_same_things(split)[frozenset(scene.concepts)]:
                compared += edit is not case
                one, other = edit.question.family, question.family
                assert (one, edit.question.thing) != (other, question.thing), case.index
                assert (one, other) not in ENTAILED, case.index
                assert (other, one) not in ENTAILED, case.index
                if "presence" in (one, other) and {one, other} & {*WHICH_THING}:
                    assert question.thing not in scene.concepts, case.index
    assert compared > 100, "hardly any probe is about what another correction is about"


@cache
def about_the_same_things(split: Split) -> dict[frozenset[str], list[EditCase]]:
    """The split's corrections by the things in their pictures."""
    found = defaultdict(list)
    for case in drawn(split):
        found[frozenset(case.scene.concepts)].append(case)
    return found


@pytest.mark.parametrize("split", SPLITS)
def test_strict_question_asks_something_else_of_the_same_scene(split):
    for case in drawn(split):
        strict = FAMILY_BY_NAME[case.strict_question.family]
        assert strict.name != case.question.family
        assert len(case.scene.concepts) in strict.counts
        if strict.names_thing and strict.name != "presence":
            assert case.strict_question.thing in case.scene.concepts
