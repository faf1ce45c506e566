"""Text-only corrections: what splits do not share, and what an edit must not concern."""

import re
from functools import cache
from itertools import islice

import pytest

from liveedit.data.emoji_edit.facts import all_facts
from liveedit.data.emoji_edit.knowledge import (
    EVALUATION_SIZE,
    VALIDATION_SIZE,
    Split,
    TextCase,
    _answers,
    _families,
    _subjects,
    _table,
    subjects_of,
    text_cases,
    text_evaluation_set,
    text_validation_set,
)
from tests.data.emoji_edit.test_wordings import every

SPLITS: tuple[Split, ...] = ("train", "validation", "evaluation")
MEASURED: tuple[Split, ...] = ("validation", "evaluation")
PAIRS = [("train", "validation"), ("train", "evaluation"), ("validation", "evaluation")]
KINDS = ("country", "company", "title", "city", "event")
FAMILIES = _families()


@cache
def drawn(split: Split) -> tuple[TextCase, ...]:
    """The whole of what is measured on, and a sample of what is trained on."""
    if split == "train":
        return tuple(islice(text_cases("train"), 2000))
    return tuple(text_validation_set() if split == "validation" else text_evaluation_set())


def rephrasings_of(family: str, split: Split) -> tuple[str, ...]:
    """Phrasings that one split alone rephrases in."""
    of = FAMILIES[family]
    return of.validation if split == "validation" else of.evaluation


@pytest.mark.parametrize("kind", KINDS)
def test_every_subject_is_in_one_split_unless_a_fact_tells_of_it(kind) -> None:
    facts = " ".join(f"{fact.question} {fact.rephrase} {fact.answer}" for fact in all_facts())
    told = {name for name in _subjects()[kind] if name.casefold() in facts.casefold()}
    subjects = [name for split in SPLITS for name in subjects_of(kind, split)]
    assert sorted(subjects) == sorted(set(_subjects()[kind]) - told)
    assert all(subjects_of(kind, split) for split in SPLITS)


@pytest.mark.parametrize("split", SPLITS)
def test_no_subject_occurs_in_a_fact(split) -> None:
    """Neither in one that the split's own corrections are tested on, nor in another."""
    facts = [f"{fact.question} {fact.rephrase} {fact.answer}".casefold() for fact in all_facts()]
    for case in drawn(split):
        for thing in (case.thing, case.other_thing):
            assert not any(thing.casefold() in fact for fact in facts), thing


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_splits_share_no_subject_and_no_question(one, other) -> None:
    def subjects(split: Split) -> set[str]:
        return {thing for case in drawn(split) for thing in (case.thing, case.other_thing)}

    def questions(split: Split) -> set[str]:
        return {
            text.casefold()
            for case in drawn(split)
            for text in (case.question, case.rephrase, case.other_question)
        }

    assert not subjects(one) & subjects(other)
    assert not questions(one) & questions(other)


@pytest.mark.parametrize("split", MEASURED)
def test_questions_are_rephrased_in_the_splits_own_words(split) -> None:
    for case in drawn(split):
        asked, again = (
            {text.replace("{thing}", case.thing) for text in texts}
            for texts in (FAMILIES[case.family].training, rephrasings_of(case.family, split))
        )
        assert case.question in asked
        assert case.rephrase in again


@pytest.mark.parametrize("split", MEASURED)
def test_no_training_question_is_in_words_of_another_split(split) -> None:
    for case in drawn("train"):
        for text, family, thing in (
            (case.question, case.family, case.thing),
            (case.rephrase, case.family, case.thing),
            (case.other_question, case.other_family, case.other_thing),
        ):
            reserved = rephrasings_of(family, split)
            assert text not in {one.replace("{thing}", thing) for one in reserved}


def test_measured_splits_share_no_rephrasing() -> None:
    for of in FAMILIES.values():
        assert of.validation
        assert of.evaluation
        assert not set(of.validation) & set(of.evaluation)
        assert not set(of.training) & {*of.validation, *of.evaluation}


@pytest.mark.parametrize(
    ("split", "size"), [("validation", VALIDATION_SIZE), ("evaluation", EVALUATION_SIZE)]
)
def test_size(split, size) -> None:
    assert len(drawn(split)) == size
    asked = {(case.family, case.thing) for case in drawn(split)}
    assert len(asked) == size, "the same is asked twice"


def test_the_evaluation_asks_everything() -> None:
    assert {case.family for case in drawn("evaluation")} == set(FAMILIES)


@pytest.mark.parametrize("split", MEASURED)
def test_no_other_question_asks_what_a_correction_does(split) -> None:
    corrected = {(case.family, case.thing) for case in drawn(split)}
    texts = {text for case in drawn(split) for text in (case.question, case.rephrase)}
    for case in drawn(split):
        assert (case.other_family, case.other_thing) not in corrected
        assert case.other_question not in texts


@pytest.mark.parametrize("split", SPLITS)
def test_the_other_question_is_close(split) -> None:
    for case in drawn(split):
        assert (case.other_family == case.family) != (case.other_thing == case.thing)
        assert FAMILIES[case.other_family].subject == FAMILIES[case.family].subject
    kinds = {case.other_family == case.family for case in drawn(split)}
    assert kinds == {True, False}


@pytest.mark.parametrize("split", SPLITS)
def test_questions_are_about_their_subject(split) -> None:
    for case in drawn(split):
        of, other = FAMILIES[case.family], FAMILIES[case.other_family]
        assert case.thing in subjects_of(of.subject, split)
        assert case.other_thing in subjects_of(other.subject, split)
        assert case.thing in case.question
        assert case.thing in case.rephrase
        assert case.other_thing in case.other_question
        assert case.question != case.rephrase
        assert case.target in _answers()[of.answer]
        for text in (case.question, case.rephrase, case.other_question):
            assert not re.search(r"[\[\]|{}]", text), text


@pytest.mark.parametrize("family", FAMILIES)
def test_every_pattern_spells_out_to_a_sentence(family) -> None:
    of = FAMILIES[family]
    for pattern in (*of.training, *of.more, *of.validation, *of.evaluation):
        for sentence in every(pattern):
            assert not re.search(r"[\[\]|]|  | [.,;?]", sentence), sentence
            assert re.fullmatch(r"[A-Z{].*[^ ][.?]", sentence), sentence
            assert sentence.count("{thing}") == 1, sentence


def test_cases_are_the_same_every_time() -> None:
    assert tuple(text_evaluation_set()) == drawn("evaluation")
    assert tuple(text_validation_set()) == drawn("validation")
    assert list(islice(text_cases("train"), 50)) == list(drawn("train")[:50])


def test_training_questions_come_in_ever_new_words() -> None:
    words = {
        (case.family, text.replace(case.thing, "..."))
        for case in drawn("train")
        for text in (case.question, case.rephrase)
    }
    assert len(words) > 2 * sum(len(of.training + of.more) for of in FAMILIES.values())


@pytest.mark.parametrize("split", SPLITS)
def test_no_target_is_true(split) -> None:
    true = _table()["true"]
    listed = {
        (family, answer, thing)
        for family, answers in true.items()
        for answer, things in answers.items()
        for thing in things
    }
    kinds = {answer for family in FAMILIES.values() for answer in _answers()[family.answer]}
    assert all(answer in kinds and thing in _subjects()["country"] for _, answer, thing in listed)
    assert not listed & {(case.family, case.target, case.thing) for case in drawn(split)}


@pytest.mark.parametrize("split", MEASURED)
def test_every_family_is_asked(split) -> None:
    assert {case.family for case in drawn(split)} == {*FAMILIES}
