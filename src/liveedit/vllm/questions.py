"""The words of the question in a prompt, which a sentence encoder compares with those of edits.

vLLM's front end has a prompt's tokens, with those of its pictures among them. What stands around
the last question of a conversation is learned from the chat template.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

_ASKED, _SAID, _LAST = "the first question", "an answer", "the last question"
Message = dict[str, object]


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What a chat template writes around a question.

    Args:
        first: Before the first question of a conversation.
        later: Before each further one, behind the answer to the one before; empty if it has none.
        after: Behind the last question, before its answer.
    """

    first: str
    later: str
    after: str

    def question(self, prompt: str) -> str:
        """The last question of a prompt without pictures.

        Of a prompt that another template made it is all that is left.
        """
        text = prompt.strip().removesuffix(self.after)
        for before in (self.later, self.first):
            if before and before in text:
                return text.rpartition(before)[2].strip()
        return text.strip()


# of families that have no chat template
FRAMES: Mapping[str, Frame] = {"blip-2": Frame(first="Question:", later="", after="Answer:")}


class QuestionReader:
    """Reads the question in the tokens of a prompt.

    Args:
        frame: What stands around it.
        tokenizer: The model's.
        image_token: Id of a place in a picture.
    """

    def __init__(self, frame: Frame, tokenizer: Any, image_token: int) -> None:
        self.frame, self.tokenizer, self.image_token = frame, tokenizer, image_token
        around = tokenizer.encode(f"{frame.first}{frame.later}{frame.after}")
        self.of_pictures = {*tokenizer.added_tokens_decoder} - {*around}

    def question(self, prompt: Sequence[int]) -> str:
        """The question.

        Args:
            prompt: Ids.
        """
        left = without_pictures(prompt, self.image_token, self.of_pictures)
        text: str = self.tokenizer.decode(left, clean_up_tokenization_spaces=False)
        return self.frame.question(text)


def frame_of(render: Callable[[list[Message]], str]) -> Frame:
    """Try out a chat template; where there is none nothing is known to stand around a question.

    Args:
        render: Gives the prompt of some messages, up to where the answer begins.
    """

    def tried(*messages: Message) -> str:
        try:
            return render(list(messages))
        except Exception:  # whatever a template raises that is not there, or knows no conversations
            return ""

    asked = _message("user", _ASKED)
    first, _, after = tried(asked).partition(_ASKED)
    talk = tried(asked, _message("assistant", _SAID), _message("user", _LAST))
    later = talk.partition(_SAID)[2].partition(_LAST)[0]
    return Frame(first=first.strip(), later=later.strip(), after=after.strip())


def _message(role: str, text: str) -> Message:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def without_pictures(
    prompt: Sequence[int], image_token: int, of_pictures: Collection[int]
) -> list[int]:
    """The tokens of a prompt but those of its pictures, and what frames them.

    Args:
        prompt: Ids.
        image_token: That of a place in a picture.
        of_pictures: Ids of tokens that are no text: right beside image tokens they begin and end a
            picture, or a part of it.
    """
    left: list[int] = []
    for special, run in groupby(prompt, lambda one: one == image_token or one in of_pictures):
        tokens = list(run)
        if not (special and image_token in tokens):
            left += tokens
    return left
