"""Trials about many facts: eight about each picture, eight about each made-up subject."""

from __future__ import annotations

import numpy as np

from liveedit.benchmark.scope.trial import Question, Trial
from liveedit.correction import Correction
from liveedit.data.emoji_edit.corrections import arranged, names_of
from liveedit.data.emoji_edit.families import FAMILY_BY_NAME
from liveedit.data.emoji_edit.free_words import HeldBack, general_questions
from liveedit.data.emoji_edit.made_up import made_up_facts
from liveedit.data.emoji_edit.scene import render
from liveedit.data.emoji_edit.targets import counterfactual

_PICTURES = 50
_EIGHT = ("name", "category", "ground", "use", "owner", "price", "maker", "place")


def about_one_picture(split: HeldBack) -> Trial:
    """Eight facts about each picture, all in force."""
    random = np.random.default_rng((43, split == "evaluation"))
    names = names_of(split)
    corrections, questions = [], []
    for number, concept in enumerate(random.choice(names, _PICTURES, replace=False)):
        scene = arranged((str(concept),), random)
        picture = render(scene)
        for name in _EIGHT:
            family = FAMILY_BY_NAME[name]
            truth = family.truth(scene, "")
            target = counterfactual(family, scene, truth, names, random)
            known, again = (
                words[random.integers(len(words))]
                for words in (family.training[:-2], family.evaluation)
            )
            one = Correction(image=picture, prompt=known, target=target)
            corrections.append((number, one))
            questions += [
                Question(label=label, about=number, picture=picture, prompt=words, target=target)
                for label, words in (("own words", known), ("rephrased", again))
            ]
    return Trial(corrections=[corrections], questions=questions)


def about_one_subject(split: HeldBack) -> Trial:
    """Eight text-only facts about each made-up subject, all in force."""
    facts = made_up_facts(split)
    subjects = {fact.subject: number for number, fact in enumerate(facts)}
    questions = [
        Question(
            label=label, about=subjects[fact.subject], picture=None, prompt=words, target=target
        )
        for fact in facts
        for label, words, target in (
            ("own words", fact.question, fact.answer),
            *(("rephrased", words, fact.answer) for words in fact.rephrasings),
        )
    ]
    others = dict.fromkeys(words for fact in facts for words in fact.others)
    for label, some in (("other subjects", list(others)), ("general", general_questions(split))):
        questions += [
            Question(label=label, about=-1 - number, picture=None, prompt=words, target=None)
            for number, words in enumerate(some)
        ]
    return Trial(
        corrections=[
            [
                (
                    subjects[fact.subject],
                    Correction(image=None, prompt=fact.question, target=fact.answer),
                )
                for fact in facts
            ]
        ],
        questions=questions,
    )
