"""Patterns against all the sentences they stand for, spelled out by recursion."""

import re

import numpy as np
import pytest

from liveedit.data.emoji_edit.families import FAMILIES, Family
from liveedit.data.emoji_edit.wordings import _ABOUT_A_CLAUSE, _ABOUT_A_NOUN, reword, spell_out


def every(pattern: str) -> set[str]:
    """All sentences of a pattern, by choosing in its first innermost bracket."""
    found = re.search(r"\[([^\[\]]*)\]", pattern)
    if found is None:
        return {pattern}
    before, after = pattern[: found.start()], pattern[found.end() :]
    return {
        sentence
        for choice in found[1].split("|")
        for sentence in every(before + choice + after)
    }  # fmt: skip


def patterns_of(family: Family) -> list[str]:
    """All that training questions of a family are spelled out from."""
    return [
        *family.more,
        *(frame.replace("{}", clause) for frame in _ABOUT_A_CLAUSE for clause in family.indirect),
        *(frame.replace("{}", noun) for frame in _ABOUT_A_NOUN for noun in family.noun),
    ]


def sentences_of(family: Family) -> set[str]:
    return {sentence for pattern in patterns_of(family) for sentence in every(pattern)}


def reserved_of(family: Family) -> tuple[str, ...]:
    """Sentences that validation and evaluation rephrase in."""
    return (*family.training[-2:], *family.evaluation)


@pytest.mark.parametrize(
    ("pattern", "sentences"),
    [
        ("What is this?", {"What is this?"}),
        ("[What|Which] is it?", {"What is it?", "Which is it?"}),
        ("Who is it[| here]?", {"Who is it?", "Who is it here?"}),
        ("[a|b] [c|d]", {"a c", "a d", "b c", "b d"}),
        ("[a [b|c]|d]e", {"a be", "a ce", "de"}),
        ("[a[b[c|]|]|d]", {"abc", "ab", "a", "d"}),
    ],
)
def test_a_pattern_gives_all_its_sentences_and_no_others(pattern, sentences) -> None:
    random = np.random.default_rng(0)
    assert every(pattern) == sentences
    assert {spell_out(pattern, random) for _ in range(200)} == sentences


def test_clauses_and_nouns_become_questions() -> None:
    random = np.random.default_rng(1)
    whole, clause, noun = "Whose is it?", "who owns it", "its owner"
    drawn = {reword((whole,), (clause,), (noun,), random) for _ in range(300)}
    about = {s for frame in _ABOUT_A_CLAUSE for s in every(frame.replace("{}", clause))}
    named = {s for frame in _ABOUT_A_NOUN for s in every(frame.replace("{}", noun))}
    assert drawn <= {whole} | about | named
    assert whole in drawn
    assert len(drawn & about) > 20
    assert len(drawn & named) > 20
    assert {reword((whole,), (), (), random) for _ in range(30)} == {whole}
    only_nouns = {reword((whole,), (), (noun,), random) for _ in range(200)}
    assert only_nouns <= {whole} | named
    assert len(only_nouns) > 20


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_reserved_sentences_are_never_drawn(family) -> None:
    def drawn(reserved: tuple[str, ...]) -> set[str]:
        random = np.random.default_rng(2)
        some = [
            reword(family.more, family.indirect, family.noun, random, reserved=reserved)
            for _ in range(600)
        ]
        return set(some)

    open_to_all = drawn(())
    kept = tuple(sorted(open_to_all))[::2]  # half of what comes when nothing is reserved
    assert len(open_to_all) > 200
    assert not drawn(kept) & set(kept)
    assert not drawn(reserved_of(family)) & set(reserved_of(family))


def test_reserving_matters() -> None:
    """Some reserved sentences are among those that patterns stand for."""
    assert any(sentences_of(family) & set(reserved_of(family)) for family in FAMILIES)


def test_the_same_seed_gives_the_same_words() -> None:
    def drawn(seed: int) -> list[str]:
        random = np.random.default_rng(seed)
        return [reword(f.more, f.indirect, f.noun, random) for f in FAMILIES for _ in range(5)]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_every_pattern_spells_out_to_a_sentence(family) -> None:
    for pattern in patterns_of(family):
        for sentence in every(pattern):
            assert not re.search(r"[\[\]|]|  | [.,;?]|{}", sentence), sentence
            assert re.fullmatch(r"[A-Z{].*[^ ][.?]", sentence), sentence
            assert sentence.count("{thing}") == int(family.names_thing), sentence


def test_no_sentence_is_of_two_families() -> None:
    """It would have two right answers."""
    families: dict[str, str] = {}
    for family in FAMILIES:
        for sentence in {*sentences_of(family), *family.training, *family.evaluation}:
            bare = re.sub(r"[^a-z{} ]", "", sentence.lower())
            assert families.setdefault(bare, family.name) == family.name, sentence
