"""Settings of the method."""

from liveedit.config import Config


class RepeatConfig(Config):
    """How a correction is put before its question.

    Args:
        form: ``{target}`` is the correction's, ``{question}`` what is asked.
    """

    form: str = "The answer is {target}. {question}"
