"""Skills that can be asked about without a download."""

from __future__ import annotations

from liveedit.benchmark.general_ability import Skill
from liveedit.data.easy_vqa import easy_vqa_test, evenly
from liveedit.data.text_prompts import FIXED_PROMPTS


def built_in_skills(limit: int | None = None) -> dict[str, Skill]:
    """easy-VQA's test questions, and 100 text-only prompts that have no right answer.

    Args:
        limit: Only so many of each, drawn evenly.
    """
    asked = evenly(easy_vqa_test(), limit)
    return {
        "easy-VQA test": Skill(
            questions=[(image, prompt) for image, prompt, _ in asked],
            answers=[answer for _, _, answer in asked],
            max_new_tokens=12,
        ),
        "text-only answers": Skill(
            questions=[(None, prompt) for prompt in FIXED_PROMPTS[:limit]],
            answers=None,
            max_new_tokens=24,
        ),
    }
