"""No word of validation or evaluation is met in training: every sentence that can be drawn."""

import re
from itertools import chain, islice

import numpy as np
import pytest

from liveedit.data.emoji_edit import knowledge, wordings
from liveedit.data.emoji_edit.as_typed import as_typed
from liveedit.data.emoji_edit.corrections import evaluation_set, validation_set
from liveedit.data.emoji_edit.families import FAMILIES
from liveedit.data.emoji_edit.free_words import (
    bare,
    free_wordings,
    general_questions,
    in_a_message,
    long_texts,
    other_questions,
    typed_freely,
    words,
)
from liveedit.data.emoji_edit.made_up import made_up_cases, made_up_facts
from liveedit.data.emoji_edit.names import subjects
from liveedit.data.emoji_edit.neighbours import (
    GROUP,
    TEXT_GROUP,
    neighbouring_cases,
    neighbouring_texts,
)
from liveedit.data.emoji_edit.relations import kinds, picture_relations, relations

SPLITS = ("validation", "evaluation")
CHOICE = re.compile(r"\[([^\[\]]*)\]")


def every(pattern: str) -> set[str]:
    """All sentences that a pattern stands for."""
    found = CHOICE.search(pattern)
    if found is None:
        return {bare(pattern)}
    ways = (
        pattern[: found.start()] + choice + pattern[found.end() :] for choice in found[1].split("|")
    )
    return set(chain.from_iterable(every(way) for way in ways))


@pytest.fixture(scope="module")
def trained() -> set[str]:
    patterns = [pattern for some in words("free_training").values() for pattern in some]
    patterns += [pattern for family in picture_relations() for pattern in family.more]
    patterns += [p for kind in kinds() for _, some in relations(kind).values() for p in some]
    patterns += [p for family in FAMILIES for p in (*family.training, *family.more)]
    patterns += [p for of in knowledge._families().values() for p in (*of.training, *of.more)]
    for frames, parts in (
        (wordings._ABOUT_A_CLAUSE, [clause for family in FAMILIES for clause in family.indirect]),
        (wordings._ABOUT_A_NOUN, [noun for family in FAMILIES for noun in family.noun]),
    ):
        patterns += [frame.replace("{}", part) for frame in frames for part in parts]
    return set(chain.from_iterable(every(pattern) for pattern in patterns))


@pytest.mark.parametrize("split", SPLITS)
def test_held_back_words_are_not_trained_on(trained, split) -> None:
    held = [words_of for f in FAMILIES for words_of in free_wordings(f.name, split)]
    held += other_questions(split)
    held += [
        words_of
        for table in words(f"facts_{split}").values()
        for fact in table["facts"]
        for words_of in fact["rephrasings"]
    ]
    assert not {bare(one) for one in held} & trained


def test_validation_and_evaluation_are_apart() -> None:
    one, other = (
        {bare(s) for f in FAMILIES for s in free_wordings(f.name, split)}
        | {bare(s) for s in other_questions(split)}
        for split in SPLITS
    )
    assert not one & other
    names = [{fact.subject for fact in made_up_facts(split)} for split in SPLITS]
    assert not names[0] & names[1]
    assert not set().union(*(subjects(kind) for kind in kinds())) & (names[0] | names[1])
    assert not set(long_texts("validation")) & set(long_texts("evaluation"))


@pytest.mark.parametrize("split", SPLITS)
def test_there_is_enough_of_everything(split) -> None:
    every_wording = [s for family in FAMILIES for s in free_wordings(family.name, split)]
    assert len({bare(s) for s in every_wording}) >= 300
    for family in FAMILIES:
        named = {s.count("{thing}") for s in free_wordings(family.name, split)}
        assert named == {int(family.names_thing)}
    assert all(len(text) >= 2000 for text in long_texts(split))
    assert len(general_questions(split)) >= 40
    facts = made_up_facts(split)
    per_subject = dict.fromkeys((fact.subject for fact in facts), 0)
    for fact in facts:
        per_subject[fact.subject] += 1
        assert fact.subject in fact.question
        assert all(fact.subject in text for text in fact.rephrasings)
    assert set(per_subject.values()) == {8}
    assert [case.target for case in made_up_cases(split)] == [fact.answer for fact in facts]


def test_corrections_ask_again_in_free_words() -> None:
    for split, cases in (("validation", validation_set(40)), ("evaluation", evaluation_set(40))):
        for case in cases:
            known = {
                text.replace("{thing}", case.question.thing)
                for text in free_wordings(case.question.family, split)
            }
            assert case.again.text in known
            assert case.again.meaning == case.question.meaning


def test_typing_keeps_the_thing_and_is_drawn_from_the_seed() -> None:
    sentence = "Where in this picture do you see the Barber pole?"
    ways = {as_typed(sentence, np.random.default_rng(n), keep="Barber pole") for n in range(60)}
    assert len(ways) > 20
    assert all("Barber pole" in way for way in ways)
    assert as_typed(sentence, np.random.default_rng(3)) == as_typed(
        sentence, np.random.default_rng(3)
    )
    random = np.random.default_rng(0)
    assert all("dog" in typed_freely("side", "dog", random) for _ in range(50))


def test_messages_hold_the_question_and_more() -> None:
    random = np.random.default_rng(0)
    messages = [in_a_message("whose is it", random) for _ in range(40)]
    assert all("whose is it" in one and len(one) > 20 for one in messages)
    assert any(one.startswith("whose is it") for one in messages)
    assert any(not one.startswith("whose is it") for one in messages)


def test_groups_are_neighbours() -> None:
    cases = list(islice(neighbouring_cases(), 60 * GROUP))
    assert [case.index for case in cases] == list(range(len(cases)))
    for start in range(0, len(cases), GROUP):
        first, second, third, alike = cases[start : start + GROUP]
        assert first.scene == second.scene == third.scene != alike.scene
        assert len({one.question.meaning for one in (first, second, third)}) == 3
        assert first.question.meaning == alike.question.meaning
        assert set(first.scene.concepts) <= set(alike.scene.concepts)
        for one in (first, second, third, alike):
            assert one.rephrase.meaning == one.again.meaning == one.question.meaning
            assert one.strict_question.meaning != one.question.meaning
    again = next(islice(neighbouring_cases(start=7), 1))
    assert again == cases[7 * GROUP]


def test_text_only_corrections_name_their_subject_and_ask_something_else_beside() -> None:
    for one in islice(neighbouring_texts(), 60 * TEXT_GROUP):
        assert one.thing in one.question
        assert (one.family, one.thing) != (one.other_family, one.other_thing)
