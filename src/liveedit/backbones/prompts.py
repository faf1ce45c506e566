"""How a backbone reads words: prompts in the family's chat format, answers, control tokens."""

from __future__ import annotations

from functools import cached_property

from jinja2 import TemplateError

from liveedit.backbones.chat import answer_frame, rendered
from liveedit.backbones.query import History
from liveedit.backbones.vision import ImageEncoder
from liveedit.errors import BadConversation, ControlTokenInText, TargetTooLong

MAX_TARGET_TOKENS = 1000  # the end of the answer among them


class PromptEncoder(ImageEncoder):
    """Tokenizer and chat format of a model."""

    # what to call the model in messages
    name: str

    @property
    def marker(self) -> str:
        """What stands in a prompt for a whole picture until it is expanded."""
        return str(self.processor.image_token)

    @cached_property
    def control_tokens(self) -> tuple[str, ...]:
        """What no text of a user may hold, the longest first."""
        tokens = {t.content for t in self.tokenizer.added_tokens_decoder.values() if t.special}
        tokens |= {self.marker, self.tokenizer.convert_ids_to_tokens(self.image_token_id)}
        return tuple(sorted(tokens, key=len, reverse=True))

    @cached_property
    def frame(self) -> tuple[str, str]:
        """What stands before an answer, white space at most, and the token that ends it."""
        return answer_frame(self.processor, self.control_tokens)

    @property
    def end_of_answer(self) -> str:
        """Token that ends an answer."""
        return self.frame[1]

    def prompt_text(self, question: str, *, images: int) -> str:
        """The question in the family's chat format, up to where the answer begins.

        Args:
            question: What is asked.
            images: How many pictures precede it; each is a :attr:`marker`.
        """
        content: list[dict[str, str]] = [{"type": "image"}] * images
        content.append({"type": "text", "text": self.checked(question)})
        return rendered(self.processor, [{"role": "user", "content": content}], prompt=True)

    def conversation_text(self, history: History, question: str, *, images: int) -> str:
        """The same with what precedes the question in its conversation.

        Args:
            history: Messages as chat templates take them, with a place for each picture.
            question: What is asked in the end.
            images: How many pictures there are in all.

        Raises:
            BadConversation: The family knows no conversations, or not this kind.
        """
        shown = sum(part["type"] == "image" for message in history for part in message["content"])
        if not history:
            return self.prompt_text(question, images=images)
        content: list[dict[str, str]] = [{"type": "image"}] * (images - shown)
        content.append({"type": "text", "text": self.checked(question)})
        for message in history:
            for part in message["content"]:
                self.checked(part.get("text", ""))
        messages = [*map(dict, history), {"role": "user", "content": content}]
        try:
            text = rendered(self.processor, messages, prompt=True)
        except (TemplateError, TypeError) as error:
            raise BadConversation(
                f"the chat template of {self.name} does not take this conversation ({error})"
            ) from error
        if text.count(self.marker) != images:
            raise BadConversation(
                f"the chat template of {self.name} leaves pictures of earlier messages out; show "
                "them with the last question"
            )
        return text

    def checked(self, text: str) -> str:
        """The text itself, if no part of it would be read as a control token.

        Raises:
            ControlTokenInText: It would.
        """
        for token in self.control_tokens:
            if token in text:
                raise ControlTokenInText(token)
        return text

    def encode(self, prompt: str) -> list[int]:
        """Token ids of a prompt, as the processor has them."""
        start = self.tokenizer.bos_token
        there = start is not None and prompt.startswith(start)
        return self.tokenizer.encode(prompt, add_special_tokens=not there)

    def check_target(self, target: str) -> None:
        """Refuse a target that is too long to be learned.

        Raises:
            ControlTokenInText: Part of it would be read as a control token.
            TargetTooLong: It has more than `MAX_TARGET_TOKENS` tokens.
        """
        tokens = len(self.target_ids(target))
        if tokens > MAX_TARGET_TOKENS:
            raise TargetTooLong(tokens=tokens, limit=MAX_TARGET_TOKENS)

    def spoken(self, target: str) -> str:
        """The target as the model would say it: decoded from its tokens."""
        ids = self.target_ids(target)
        return self.tokenizer.decode(ids, skip_special_tokens=True).strip()

    def target_ids(self, target: str, prompt: str = "") -> list[int]:
        """Token ids of an answer and its end, as they follow a prompt."""
        before, end = self.frame
        text = self.checked(target) + end
        start = self.encode(prompt) if prompt else []
        whole = self.encode(prompt + before + text) if prompt else []
        if start and whole[: len(start)] == start:
            return whole[len(start) :]
        return self.tokenizer.encode(text, add_special_tokens=False)
