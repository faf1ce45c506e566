"""FT-M behind the contract of an editing method: fine-tuning on the target's tokens alone.

The cross entropy is masked to the target (Zhang et al., "A Comprehensive Study of Knowledge Editing
for Large Language Models", 2024); nothing bounds the change.
"""

from __future__ import annotations

from liveedit.methods.ft_m.config import FineTuningMConfig
from liveedit.methods.shared.weights.fine_tuning import FineTuning


class FineTuningM(FineTuning[FineTuningMConfig]):
    """Fine-tuning with a masked loss, without a bound."""

    name = "ft-m"
    config_class = FineTuningMConfig


METHOD = FineTuningM
