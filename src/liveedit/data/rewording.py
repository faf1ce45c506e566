"""Other words for a question that nobody wrote rephrasings of, by templates for its kind.

A first rule that fits makes the sentence; what fits none keeps its own words with others around
them. The answer stays the same: nothing of what is asked is added, left out or negated.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from liveedit.data.emoji_edit.as_typed import as_typed
from liveedit.data.emoji_edit.wordings import spell_out

_CLAUSE = (
    "[Can|Could|Would] you [tell me|say] {}?",
    "[Tell me|Say|Let me know] {}[.|, please.]",
    "I [want|would like|need] to know {}.",
    "Do you know {}?",
    "I wonder {}.",
)
# how a question begins, what it becomes as a clause or a sentence of its own
_RULES: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), frames)
    for pattern, frames in (
        (r"^how many (?P<a>[^?]+?) (?:are|is) (?P<b>(?:there|in|on|shown|visible)\b[^?]*?) ?\?*$",
         ("[What is the number of {a} {b}?|Count the {a} {b}.]",
          "[Say|Tell me] how many {a} are {b}.")),
        (r"^what colou?r (?P<a>is|are) (?P<b>[^?]+?) ?\?*$",
         ("[Name|Tell me|Say] the colo[u|]r of {b}.",
          "[Can|Could] you [name|tell me] the colo[u|]r of {b}?",
          "[Which|What] colo[u|]r {a} {b}, [please|would you say]?")),
        (r"^what (?P<a>is|are|was|were) (?P<b>(?:the|his|her|its) (?:\w+ ){1,2}of [^?]+?) ?\?*$",
         ("what {b} {a}", "[Name|State|Say] {b}.")),
        (r"^(?P<a>what|who) (?P<b>is|are) (?P<c>(?:the|his|her|its|their)( \w+){1,3}) ?\?*$",
         ("{a} {c} {b}",)),
        (r"^what (?P<a>is|are) (?P<b>this|that|it|these|they) ?\?*$", ("what {b} {a}",)),
        (r"^where (?P<a>is|are) (?P<b>(?:the|this|that|it)( \w+){0,3}) ?\?*$", ("where {b} {a}",)),
        (r"^(?P<a>who) (?P<b>made|owns|wrote|built|makes|painted|sells) (?P<c>[^?]+?) ?\?*$",
         ("{a} {b} {c}",)),
        (r"^what (?P<a>kind|type|sort) of (?P<b>[^?]+?) ?\?*$",
         ("[Which|What] [kind|type|sort] of {b}?",)),
        (r"^what (?P<a>[a-z]+ (?:is|are|does|do|was|did) [^?]+?) ?\?*$", ("Which {a}?",)),
    )
)  # fmt: skip
_FRAMES = (
    "[Please answer|Answer this|Tell me|Quick question|One question|I would like to know]: {}",
    "[Look at it again|Look closely|Look here|Take a look]: {}",
    "{} [Please answer briefly|Answer in a few words|Just the answer, please|Thanks].",
)
_OF_NO_QUESTION = (
    "[Please complete|Complete this|Go on|Continue|Finish this]: {}",
    "[Say it in your words|In a few words|Briefly]: {}",
)


def reworded(question: str, random: np.random.Generator) -> str:
    """The question in other words.

    Args:
        question: As a person or a file states it.
        random: What to draw from.
    """
    text = " ".join(question.split())
    for pattern, frames in _RULES:
        found = pattern.match(text)
        if found and random.random() < 0.7:
            frame = spell_out(frames[int(random.integers(len(frames)))], random)
            parts = found.groupdict() | {"a": found["a"].lower()}
            sentence = _filled(frame, parts)
            if not frame[:1].isupper():
                sentence = _in_a_frame(_CLAUSE, sentence, random)
            if sentence != text:
                return sentence
    asked = text.endswith("?") or bool(re.match(r"(?i)(wh|how|is|are|do|can)", text))
    return _in_a_frame(_FRAMES if asked else _OF_NO_QUESTION, text, random)


def reworded_as_typed(question: str, random: np.random.Generator) -> str:
    """The same as people type: in lower case, without a full stop, with a slip of the finger."""
    other = reworded(question, random) if random.random() < 0.7 else question
    return as_typed(other, random)


def _in_a_frame(frames: Sequence[str], text: str, random: np.random.Generator) -> str:
    frame = spell_out(frames[int(random.integers(len(frames)))], random)
    return frame.replace("{}", text)


def _filled(frame: str, parts: dict[str, str]) -> str:
    for name, part in parts.items():
        frame = frame.replace(f"{{{name}}}", part)
    return frame
