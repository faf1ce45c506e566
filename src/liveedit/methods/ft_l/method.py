"""FT-L behind the contract of an editing method: fine-tuning within a norm.

The down-projection of the last feed-forward network is tuned on the target's tokens, no number of
it by more than a bound (Zhu et al., "Modifying Memories in Transformer Models", 2020).
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from liveedit.methods.ft_l.config import FineTuningLConfig
from liveedit.methods.shared.weights.fine_tuning import FineTuning


class FineTuningL(FineTuning[FineTuningLConfig]):
    """Fine-tuning within the maximum norm."""

    name = "ft-l"
    config_class = FineTuningLConfig

    def constrain(self, delta: Float[Tensor, "high wide"]) -> None:
        """Project onto the ball of the maximum norm after each step."""
        delta.clamp_(-self.config.norm, self.config.norm)


METHOD = FineTuningL
