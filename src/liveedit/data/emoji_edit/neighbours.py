"""Training corrections in groups of neighbours: what a router takes for each other most easily.

A group of pictures: a correction, two other facts about the same picture, and the first question
about a look-alike (the same things on another ground, in other places, or in other company). A
group of text-only ones: five facts about one subject, and the first of them about others, some of
whose names are nearly the same. All is asked in ever new words, half of them as people type.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from liveedit.data.chance import any_of
from liveedit.data.emoji_edit.as_typed import as_typed
from liveedit.data.emoji_edit.corrections import (
    CONTAINED,
    EditCase,
    arranged,
    draw_scene,
    look_alike,
    names_of,
    unrelated,
)
from liveedit.data.emoji_edit.facts import facts_of
from liveedit.data.emoji_edit.families import FAMILIES, Family, pick_thing
from liveedit.data.emoji_edit.free_words import in_a_message, typed, typed_freely
from liveedit.data.emoji_edit.knowledge import GENERAL, TextCase, knowledge_group
from liveedit.data.emoji_edit.names import draw_another, draw_name, whole
from liveedit.data.emoji_edit.questions import Question, training_words
from liveedit.data.emoji_edit.relations import kinds, picture_relations, relations
from liveedit.data.emoji_edit.scene import (
    GROUND_COLOURS,
    PATTERNS,
    SCENE_SIZE,
    Placement,
    Scene,
)
from liveedit.data.emoji_edit.targets import counterfactual, invented
from liveedit.data.emoji_edit.wordings import spell_out

GROUP, TEXT_GROUP = 4, 8
_FACTS = 5  # about the first subject of a text-only group
_SEED, _TEXT_SEED = 21, 22
_SHARE_OF_RELATIONS = 0.5  # of the questions about a picture of one thing
_SHARE_TYPED = 0.45  # of the questions that are not an edit's own
_SHARE_IN_A_MESSAGE = 0.35
_SHARE_OF_GENERAL = 0.25  # of the text-only questions that something else is asked by
_SHARE_OF_KNOWLEDGE = 0.3  # of the text-only groups


def neighbouring_cases(*, start: int = 0) -> Iterator[EditCase]:
    """Training corrections without end, ``GROUP`` neighbours after each other.

    Args:
        start: The first group.
    """
    for number in range(start, 2**31):
        yield from _group(number)


def neighbouring_texts(*, start: int = 0) -> Iterator[TextCase]:
    """The same of text-only corrections, ``TEXT_GROUP`` together."""
    for number in range(start, 2**31):
        random = np.random.default_rng((_TEXT_SEED, number))
        if random.random() < _SHARE_OF_KNOWLEDGE:
            yield from knowledge_group(number, random, size=TEXT_GROUP)
        else:
            yield from _text_group(number, random)


def _group(number: int) -> Iterator[EditCase]:
    random = np.random.default_rng((_SEED, number))
    names = names_of("train")
    scene = draw_scene(names, FAMILIES[random.integers(len(FAMILIES))], random)
    first, second, third = _different(scene, 3, random)
    thing = pick_thing(first, scene, names, random)
    members = (
        (scene, first, thing),
        (scene, second, pick_thing(second, scene, names, random)),
        (scene, third, pick_thing(third, scene, names, random)),
        (_almost(names, scene, random), first, thing),
    )
    for place, (shown, family, named) in enumerate(members):
        yield _case(number * GROUP + place, names, shown, family, named, random)


def _different(scene: Scene, count: int, random: np.random.Generator) -> list[Family]:
    """Families that ask something else of each other, none of whose answers contains another's."""
    found: list[Family] = []
    while len(found) < count:
        one = _family(scene, random)
        if all(
            one.name != other.name and {one.name, other.name} not in CONTAINED for other in found
        ):
            found.append(one)
    return found


def _family(scene: Scene, random: np.random.Generator) -> Family:
    if len(scene.concepts) == 1 and random.random() < _SHARE_OF_RELATIONS:
        return any_of(picture_relations(), random)
    return any_of([one for one in FAMILIES if len(scene.concepts) in one.counts], random)


def _almost(names: tuple[str, ...], scene: Scene, random: np.random.Generator) -> Scene:
    """The same things on another ground, in other places, or with one more beside them."""
    change = random.random()
    if change < 0.35:
        return replace(
            scene,
            ground=_other(list(GROUND_COLOURS), scene.ground, random=random),
            pattern=PATTERNS[random.integers(len(PATTERNS))]
            if random.random() < 0.5
            else scene.pattern,
        )
    if change < 0.6:
        return replace(scene, placements=_moved(scene, random))
    if change < 0.8 or len(scene.concepts) == 3:
        drawn = arranged(scene.concepts, random)
        return drawn if random.random() < 0.5 else replace(drawn, ground=scene.ground)
    more = _other(names, *scene.concepts, random=random)
    things = random.permutation([*scene.concepts, more])
    return replace(
        arranged(tuple(str(name) for name in things), random),
        ground=scene.ground, pattern=scene.pattern, seed=scene.seed,
    )  # fmt: skip


def _moved(scene: Scene, random: np.random.Generator) -> tuple[Placement, ...]:
    def shift(place: int, least: int) -> int:
        by = int(random.choice((-1, 1)) * random.integers(least, 34))
        return int(np.clip(place + by, 30, SCENE_SIZE - 30))

    return tuple(
        replace(one, x=shift(one.x, 8 // len(scene.placements)), y=shift(one.y, 12))
        for one in scene.placements
    )


def _other(choices: Sequence[str], *known: str, random: np.random.Generator) -> str:
    return str(random.choice([one for one in choices if one not in known]))


def _case(
    index: int,
    names: tuple[str, ...],
    scene: Scene,
    family: Family,
    thing: str,
    random: np.random.Generator,
) -> EditCase:
    truth = family.truth(scene, thing)
    facts = facts_of("train")
    other = _beside(scene, family, random)

    def ask(of: Family, named: str, *, loosely: bool = False) -> Question:
        return Question(
            family=of.name, thing=named, text=neighbour_words(of, named, random, loosely=loosely)
        )

    question = ask(family, thing)
    return EditCase(
        index=index,
        scene=scene,
        question=question,
        target=counterfactual(family, scene, truth, names, random),
        truth=truth,
        rephrase=ask(family, thing, loosely=True),
        fact=facts[random.integers(len(facts))],
        strict_scene=look_alike(names, family, scene, thing, random),
        strict_question=ask(other, pick_thing(other, scene, names, random), loosely=True),
        **unrelated("train", names, scene, frozenset(), random),
        again=replace(question, text=met_again(family, thing, random)),
    )


def _beside(scene: Scene, family: Family, random: np.random.Generator) -> Family:
    while True:
        other = _family(scene, random)
        if other.name != family.name and {other.name, family.name} not in CONTAINED:
            return other


def neighbour_words(
    family: Family, thing: str, random: np.random.Generator, *, loosely: bool
) -> str:
    """For training: a question of a family or a relation.

    Args:
        family: What is asked.
        thing: Of which thing, if the question names one.
        random: What to draw from.
        loosely: Nearly half the time as people type.
    """
    if family in picture_relations():
        patterns = family.more
        loose = loosely and random.random() < _SHARE_TYPED
        return typed(patterns, thing, random) if loose else _spelled(patterns, thing, random)
    if loosely and random.random() < _SHARE_TYPED:
        return typed_freely(family.name, thing, random)
    return training_words(family, random).replace("{thing}", thing)


def met_again(family: Family, thing: str, random: np.random.Generator) -> str:
    """For training: the question as it comes back, now and then in the midst of a message."""
    if family in picture_relations():
        text = typed(family.more, thing, random)
    elif random.random() < 0.8:
        text = typed_freely(family.name, thing, random)
    else:
        text = training_words(family, random).replace("{thing}", thing)
    return in_a_message(text, random) if random.random() < _SHARE_IN_A_MESSAGE else text


def _text_group(number: int, random: np.random.Generator) -> Iterator[TextCase]:
    kind = str(random.choice(kinds()))
    asked = relations(kind)
    name = draw_name(kind, random)
    one, others = whole(name), [whole(draw_another(kind, name, random)) for _ in range(4)]
    facts = [str(fact) for fact in random.permutation(list(asked))[:_FACTS]]
    members = [
        *((fact, one) for fact in facts),
        *((facts[0], other) for other in others[: TEXT_GROUP - _FACTS]),
    ]
    for place, (relation, subject) in enumerate(members):
        answer, patterns = asked[relation]
        again = typed(patterns, subject, random)
        if random.random() < _SHARE_IN_A_MESSAGE / 2:
            again = in_a_message(again, random)
        if random.random() < 0.4:
            other = _other(list(asked), relation, random=random), subject
        else:
            other = relation, others[-1]
        yield TextCase(
            index=number * TEXT_GROUP + place,
            family=f"{kind}: {relation}",
            thing=subject,
            question=_spelled(patterns, subject, random),
            rephrase=again,
            target=invented(answer, random),
            **_something_else(kind, other, random),
        )


def _something_else(
    kind: str, other: tuple[str, str], random: np.random.Generator
) -> dict[str, str]:
    """A question that is close but different, or one about nothing that was ever corrected."""
    if random.random() < _SHARE_OF_GENERAL:
        fact = facts_of("train")[random.integers(len(facts_of("train")))]
        text = as_typed((fact.question, fact.rephrase)[random.integers(2)], random)
        return {"other_family": GENERAL, "other_thing": fact.question, "other_question": text}
    relation, subject = other
    return {
        "other_family": f"{kind}: {relation}",
        "other_thing": subject,
        "other_question": typed(relations(kind)[relation][1], subject, random),
    }


def _spelled(patterns: tuple[str, ...], subject: str, random: np.random.Generator) -> str:
    sentence = spell_out(patterns[random.integers(len(patterns))], random)
    return sentence.replace("{thing}", subject)
