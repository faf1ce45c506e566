"""Training questions in ever new words: patterns with alternatives, and ways of asking politely.

A pattern such as ``What [is|might be] this[| here]?`` stands for a sentence for each choice in its
brackets. A family also gives clauses ("who owns this") and nouns ("the owner of this") that any of
the frames below turns into a question.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np

_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_ABOUT_A_CLAUSE = (
    "[Can|Could|Would|Will] you [tell me|say|let me know|find out] {}?",
    "[I want|I would like|I need|I am trying|Help me] to [know|find out|learn|see] {}.",
    "[Tell me|Say|State|Let me know|Find out|Explain] {}[.|, please.]",
    "[Do you know|Can you see|Have you any idea|Can anybody say] {}?",
    "[Please|Now] [tell me|say|explain] {}.",
    "I [wonder|was asked|do not know|cannot tell|would love to know] {}.",
)
_ABOUT_A_NOUN = (
    "What is {}?",
    "[Tell me|Give|State|Name|Give me|Write down|Say] {}[.|, please.]",
    "[Can|Could|Would] you [tell|give] me {}?",
    "[I want to know|I need|I am looking for|I was asked for|I would like to hear] {}.",
    "Do you [know|see] {}?",
    "[What would you say is|What might be|And what is] {}?",
    "[Please|Kindly] [give|name|state] {}.",
)


def spell_out(pattern: str, random: np.random.Generator) -> str:
    """One of the sentences that a pattern stands for; brackets may be nested."""
    while (found := _CHOICE.search(pattern)) is not None:
        choices = found[1].split("|")
        chosen = choices[random.integers(len(choices))]
        pattern = pattern[: found.start()] + chosen + pattern[found.end() :]
    return pattern


def reword(
    patterns: Sequence[str],
    clauses: Sequence[str],
    nouns: Sequence[str],
    random: np.random.Generator,
    *,
    reserved: Collection[str] = (),
) -> str:
    """A question in words drawn at random.

    Args:
        patterns: Whole questions.
        clauses: What a question can ask for, as a clause ("who owns this").
        nouns: What it can ask for, as a noun ("the owner of this").
        random: What to draw from.
        reserved: Sentences that are kept for other uses, never drawn.
    """
    while True:
        kind = random.random()
        if kind < 0.5 or not (clauses or nouns):
            pattern = patterns[int(random.integers(len(patterns)))]
        else:
            by_clause = bool(clauses) and (kind < 0.75 or not nouns)
            frames, fill = (_ABOUT_A_CLAUSE, clauses) if by_clause else (_ABOUT_A_NOUN, nouns)
            frame = frames[random.integers(len(frames))]
            pattern = frame.replace("{}", fill[int(random.integers(len(fill)))])
        sentence = spell_out(pattern, random)
        if sentence not in reserved:
            return sentence
