"""EditedModel: a vision-language model that takes corrections, and gives them up again."""

from liveedit.editor.model import EditedModel
from liveedit.methods.outcome import Conflict, EditOutcome
from liveedit.methods.route import Explanation

__all__ = ["Conflict", "EditOutcome", "EditedModel", "Explanation"]
