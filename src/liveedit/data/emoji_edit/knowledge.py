"""Text-only corrections: counterfactual knowledge about countries, companies, books and the like.

Subjects are divided between the splits, and so are the words of rephrased questions. No subject
occurs in a fact that text-only locality asks about (T-Loc), though a fact may ask the same of
another subject ("What is the capital of ...?"): an edit must not fire there.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import islice, product
from typing import Any, Literal

import numpy as np

from liveedit.data.emoji_edit.facts import all_facts
from liveedit.data.emoji_edit.targets import PERSONS, PLACES
from liveedit.data.emoji_edit.wordings import reword, spell_out

Split = Literal["train", "validation", "evaluation"]
EVALUATION_SIZE, VALIDATION_SIZE = 200, 60
_SEEDS: dict[Split, int] = {"train": 11, "validation": 12, "evaluation": 13}
_SPLIT_SEED = 20_261
_SHARES = {"evaluation": 0.28, "validation": 0.12}  # of the subjects of a kind; training the rest

GENERAL = "general"  # family of questions about nothing that is ever corrected
_SHARE_OF_KNOWN = 0.3  # of training questions in the words that corrections have elsewhere


@dataclass(frozen=True, kw_only=True)
class _Family:
    subject: str
    answer: str
    training: tuple[str, ...]
    more: tuple[str, ...]
    validation: tuple[str, ...]
    evaluation: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class TextCase:
    """One text-only correction with what it is tested on.

    Args:
        index: Position in its split, the seed of the whole case.
        family: What is asked.
        thing: Of which subject.
        question: The corrected question.
        rephrase: The question in other words.
        other_family, other_thing: What ``other_question`` asks, of which subject.
        other_question: A question that is close but different: the same of another subject, or
            something else of the same subject.
        target: The counterfactual answer.
    """

    index: int
    family: str
    thing: str
    question: str
    rephrase: str
    other_family: str
    other_thing: str
    other_question: str
    target: str


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath("knowledge.toml").read_text(encoding="utf-8"))


@cache
def _subjects() -> dict[str, list[str]]:
    names = _table()["names"]
    years = ("of 2031", "of 2034")
    return {
        "country": names["country"],
        "company": [a + b for a, b in product(names["company_first"], names["company_last"])],
        "title": [f"The {a} {b}" for a, b in product(names["title_first"], names["title_last"])],
        "city": names["city"],
        "event": [
            " ".join(parts) for parts in product(names["event_place"], names["event_kind"], years)
        ],
    }


@cache
def _answers() -> dict[str, list[str]]:
    names = _table()["names"]
    return {
        "person": [" ".join(parts) for parts in product(PERSONS, names["surname"])],
        "city": list(PLACES),
        **{kind: names[kind] for kind in ("currency", "language", "dish", "animal")},
    }


@cache
def _families() -> dict[str, _Family]:
    return {
        name: _Family(
            subject=of["subject"],
            answer=of["answer"],
            **{key: tuple(of[key]) for key in ("training", "more", "validation", "evaluation")},
        )
        for name, of in _table().items()
        if name not in ("names", "true")
    }


@cache
def subjects_of(kind: str, split: Split) -> tuple[str, ...]:
    """Subjects of a kind that belong to a split; no two splits share one."""
    everything = [name for name in _subjects()[kind] if name not in _in_facts()]
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(everything))
    first = round(_SHARES["evaluation"] * len(order))
    second = first + round(_SHARES["validation"] * len(order))
    chosen = {
        "evaluation": order[:first],
        "validation": order[first:second],
        "train": order[second:],
    }[split]
    return tuple(everything[index] for index in sorted(chosen))


def text_evaluation_set() -> list[TextCase]:
    """The fixed text-only evaluation corrections; no two ask the same."""
    return list(islice(text_cases("evaluation"), EVALUATION_SIZE))


def text_validation_set() -> list[TextCase]:
    """The fixed text-only validation corrections."""
    return list(islice(text_cases("validation"), VALIDATION_SIZE))


def text_cases(split: Split) -> Iterator[TextCase]:
    """Text-only corrections, each from its own seed; of training without end.

    Outside training no two ask the same, and no ``other_question`` asks what one of them does.
    """
    met: set[tuple[str, str]] = set()
    drawn: list[tuple[int, str, str]] = []
    if split == "train":
        for index in range(2**31):
            random = np.random.default_rng((_SEEDS[split], index))
            family = str(random.choice(sorted(_families())))
            yield _case(split, index, family, _subject(split, family, random), met, random)
    size = EVALUATION_SIZE if split == "evaluation" else VALIDATION_SIZE
    index = 0
    while len(drawn) < size:
        family = sorted(_families())[index % len(_families())]  # in turn, so that none is missing
        thing = _subject(split, family, np.random.default_rng((_SEEDS[split], index)))
        if (family, thing) not in met:
            met.add((family, thing))
            drawn.append((index, family, thing))
        index += 1
    for index, family, thing in drawn:
        random = np.random.default_rng((_SEEDS[split], index, 1))
        yield _case(split, index, family, thing, met, random)


def kind_of(family: str) -> str:
    """Of which kind the subjects are that a text-only question is about."""
    known = _families().get(family)
    return family.partition(":")[0] if known is None else known.subject


def knowledge_group(number: int, random: np.random.Generator, *, size: int) -> Iterator[TextCase]:
    """For training: facts about one subject, and the first of them about others."""
    family = str(random.choice(sorted(_families())))
    kind = _families()[family].subject
    siblings = [name for name, of in sorted(_families().items()) if of.subject == kind]
    others = [name for name in siblings if name != family]
    one, two = (str(name) for name in random.choice(subjects_of(kind, "train"), 2, replace=False))
    facts = [str(name) for name in random.permutation(others)[:2]]
    members = [(family, one), *((name, one) for name in facts), (family, two)]
    while len(members) < size:
        thing = str(random.choice(subjects_of(kind, "train")))
        members.append((str(random.choice([family, *facts])), thing))
    for place, (name, thing) in enumerate(members):
        yield _case("train", number * size + place, name, thing, set(), random)


@cache
def _in_facts() -> frozenset[str]:
    words = " ".join(f"{fact.question} {fact.rephrase} {fact.answer}" for fact in all_facts())
    return frozenset(
        name for names in _subjects().values() for name in names if name.lower() in words.lower()
    )


def _subject(split: Split, family: str, random: np.random.Generator) -> str:
    return str(random.choice(subjects_of(_families()[family].subject, split)))


def _false_answers(family: str, thing: str) -> list[str]:
    """Answers of the family's kind, without those that are true of the subject."""
    true = _table()["true"].get(family, {})
    return [
        answer for answer in _answers()[_families()[family].answer]
        if thing not in true.get(answer, ())
    ]  # fmt: skip


def _case(
    split: Split,
    index: int,
    family: str,
    thing: str,
    taken: set[tuple[str, str]],
    random: np.random.Generator,
) -> TextCase:
    of = _families()[family]
    question, rephrase = _two_phrasings(split, of, random)
    other_family, other_thing = _close(split, family, thing, taken, random)
    other, _ = _two_phrasings(split, _families()[other_family], random)
    answers = _false_answers(family, thing)
    return TextCase(
        index=index,
        family=family,
        thing=thing,
        question=question.replace("{thing}", thing),
        rephrase=rephrase.replace("{thing}", thing),
        other_family=other_family,
        other_thing=other_thing,
        other_question=other.replace("{thing}", other_thing),
        target=answers[random.integers(len(answers))],
    )


def _close(
    split: Split, family: str, thing: str, taken: set[tuple[str, str]], random: np.random.Generator
) -> tuple[str, str]:
    kind = _families()[family].subject
    siblings = [name for name, of in sorted(_families().items()) if of.subject == kind]
    things = subjects_of(kind, split)
    while True:
        if len(siblings) > 1 and random.random() < 0.5:
            other = siblings[random.integers(len(siblings))], thing
        else:
            other = family, things[random.integers(len(things))]
        if other != (family, thing) and other not in taken:
            return other
        if all((name, one) in taken for name in siblings for one in things):
            raise RuntimeError(f"every question about a {kind} is a correction of {split}")


def _two_phrasings(split: Split, of: _Family, random: np.random.Generator) -> tuple[str, str]:
    """The same question twice, the second time in words that the split keeps for rephrasing."""
    if split == "train":
        first = second = _training_words(of, random)
        while second == first:
            second = _training_words(of, random)
        return first, second
    rephrasings = of.validation if split == "validation" else of.evaluation
    return (
        spell_out(of.training[random.integers(len(of.training))], random),
        rephrasings[random.integers(len(rephrasings))],
    )


def _training_words(of: _Family, random: np.random.Generator) -> str:
    if random.random() < _SHARE_OF_KNOWN:
        return of.training[random.integers(len(of.training))]
    return reword(of.more, (), (), random, reserved=of.validation + of.evaluation)
