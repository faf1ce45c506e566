"""What a family's chat template says about prompts and answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import TemplateError

from liveedit.errors import BadCheckpoint


def rendered(processor: Any, messages: list[dict[str, object]], *, prompt: bool) -> str:
    """Messages in the processor's chat format, up to where an answer begins if it is a prompt.

    Raises:
        BadCheckpoint: The processor has no chat template.
    """
    template = getattr(processor, "chat_template", None) or processor.tokenizer.chat_template
    if not template:
        raise BadCheckpoint(
            "the processor of this model has no chat template; set processor.chat_template to the "
            "one the model was trained with, and save the processor beside the model"
        )
    return processor.apply_chat_template(messages, template, add_generation_prompt=prompt)


def answer_frame(processor: Any, control_tokens: Sequence[str]) -> tuple[str, str]:
    """What a chat template writes before an answer, white space at most, and what ends it.

    Where the template does not say, nothing and the tokenizer's end of sequence.
    """
    end = processor.tokenizer.eos_token
    asked: dict[str, object] = {"role": "user", "content": [{"type": "text", "text": "x"}]}
    said: dict[str, object] = {"role": "assistant", "content": [{"type": "text", "text": "y"}]}
    try:
        start = rendered(processor, [asked], prompt=True)
        whole = rendered(processor, [asked, said], prompt=False)
    except (TemplateError, TypeError):  # a template that takes no list, or no finished answer
        return "", end
    gap, _, rest = whole.removeprefix(start).partition("y")
    if not whole.startswith(start) or gap.strip():
        return "", end
    return gap, next((token for token in control_tokens if rest.strip().startswith(token)), end)


def expanded(prompt: str, marker: str, texts: Sequence[str]) -> str:
    """A prompt with each picture's marker replaced by what stands for that picture."""
    first, *others = prompt.split(marker)
    return first + "".join(text + rest for text, rest in zip(texts, others, strict=True))
