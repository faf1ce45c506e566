"""Trial of languages: corrections made and asked in German, French, Spanish and Chinese."""

from __future__ import annotations

import numpy as np

from liveedit.benchmark.scope.trial import Question, Trial
from liveedit.correction import Correction
from liveedit.data.emoji_edit.corrections import arranged, names_of
from liveedit.data.emoji_edit.families import FAMILY_BY_NAME
from liveedit.data.emoji_edit.free_words import HeldBack, words
from liveedit.data.emoji_edit.scene import render

_PICTURES = 2  # of each question in each language, and as many for corrections in English
_OF_RELATIONS = {"age": "How old is it?"}
_THINGS = {"left": 2, "right": 2, "middle": 3}


def in_other_languages(split: HeldBack) -> Trial:
    """Each question is asked as it was corrected, in other words, and of English corrections."""
    random = np.random.default_rng((44, split == "evaluation"))
    names = names_of(split)
    corrections, questions = [], []
    number = 0
    for language, families in words("languages").items():
        for family, asked in families.items():
            english = _OF_RELATIONS.get(family) or FAMILY_BY_NAME[family].training[0]
            for own in [asked["question"]] * _PICTURES + [english] * _PICTURES:
                things = random.choice(names, _THINGS.get(family, 1), replace=False)
                picture = render(arranged(tuple(str(name) for name in things), random))
                one = Correction(image=picture, prompt=own, target=asked["target"])
                number += 1
                corrections.append((number, one))
                if own == english:
                    ways = [(f"{language}, corrected in English", asked["question"])]
                else:
                    ways = [(f"{language}, own words", own)]
                    ways += [(f"{language}, other words", text) for text in asked["rephrasings"]]
                questions += [
                    Question(
                        label=label, about=number, picture=picture, prompt=text, target=one.target
                    )
                    for label, text in ways
                ]
    return Trial(corrections=[corrections], questions=questions)
