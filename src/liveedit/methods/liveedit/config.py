"""Settings of LiveEdit: the architecture of its editor, and what happens when it edits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from liveedit.config import Config
from liveedit.methods.outcome import Supersede

SAME_QUESTION = 0.55  # on emoji-edit's validation corrections no pair of questions needs more


class EditorConfig(Config):
    """Architecture of the trained part; the names in the paper are in brackets.

    Args:
        width: Width of the modules (d_m).
        vectors: Vectors a routing feature is made of (k).
        heads: Attention heads.
        rank: Slots of an expert (r); of aligned ones those that attention adds to, and each has as
            many slots as its target has tokens.
        sentinel_tokens: States the vision sentinel consists of (N_v).
        dropout: Dropout on the states the feature extractor reads, in training only.
        shared_extractor: One extractor for the edit side and the input side, instead of two.
        unit_features: Features of unit length compared on learned scales, instead of dot products
            of layer-normalised ones, divided by the root of the width.
        aligned_slots: Experts that begin aligned to the target's tokens, instead of learned queries
            alone.
        prompt_guided: The prompt guides what the vision feature looks at.
        hard_routing: What the pictures show stops experts.
        soft_routing: What the questions ask weighs experts; without it each weighs 1.
        prompt_filter: What the questions ask stops experts, too: those with a sigmoid below 1/2.
        joint_relative: Experts that pass share the weight by picture and question, instead of by
            question alone.
        text_router: Text-only corrections are taken, and text-only queries routed to them.
        subject_filter: What text-only questions are about stops experts.
        picture_filter: The very picture of an expert passes by its pixels, however it was saved.
        context_gain: By how much more an expert is added for every doubling of a prompt's length,
            beyond 64 tokens.
        by_line: A message of several lines is routed by its first and last one, too.
        same_question: Two questions about a picture are the same if the cosine of their prompt
            features exceeds this; `LiveEditConfig` may say otherwise.
        sentence_encoder: A sentence encoder has a say in whether two questions are the same, beside
            the prompt features. What is stored of an edit does not depend on it.
        calibrated: Nothing is trained: features are the model's own states, whitened, and experts
            the memory of their target's tokens alone. Of the above ``width`` then means the
            directions of a feature; ``vectors`` is 1 and ``rank`` 0, and what else concerns
            extractor and generator means nothing.
    """

    width: int = 384
    vectors: int = 4
    heads: int = 8
    rank: int = 8
    sentinel_tokens: int = 16
    dropout: float = 0.1
    shared_extractor: bool = True
    unit_features: bool = True
    aligned_slots: bool = True
    prompt_guided: bool = True
    hard_routing: bool = True
    soft_routing: bool = True
    prompt_filter: bool = True
    joint_relative: bool = True
    text_router: bool = True
    subject_filter: bool = True
    picture_filter: bool = True
    context_gain: float = 0.5
    by_line: bool = True
    same_question: float = SAME_QUESTION
    sentence_encoder: bool = False
    calibrated: bool = False


class LiveEditConfig(Config):
    """What happens when a correction is made.

    Args:
        supersede: Which earlier edits a correction puts out of force: those that it contradicts
            (``same`` picture and question), ``alike`` ones as well, or ``never`` any.
        same_question: Two questions about a picture are the same if the cosine of their prompt
            features exceeds this; by default what was chosen for the editor.
        sentence_encoder: Whether a sentence encoder has a say in whether two questions are the
            same; by default as the editor says. It wants the extra ``retrieval``.
        same_text: The same of text-only questions.
        same_subject: Two text-only questions are about the same if the cosine of their subject
            features exceeds this.
        alike: Two corrections are alike, and may contradict each other, if both cosines of their
            routing features, vision and prompt, exceed this.
        alike_text: Two text-only ones, if that of their prompt features does.
        refine_steps: Most gradient steps on an expert whose target is not reproduced; 0 for none.
        refine_rate: Learning rate of Adam on U and V, which are in standardised units.
        refine_margin: Steps end when the logit of every target token exceeds all others by this.
        refine_broad: Targets of more tokens than this, the end of the answer counted, are refined
            until they are given to another question about the picture saved anew, too; by default
            those with more than the editor's ``rank``.
        refine_locality: Weight of the divergence on neighbours, beside cross-entropy with 1.
    """

    search_space: ClassVar[Mapping[str, Sequence[object]]] = {
        "refine_steps": (30, 60, 120),
        "refine_rate": (0.1, 0.2, 0.4),
        "refine_margin": (0.5, 1.0, 2.0),
        "refine_locality": (0.03, 0.1, 0.3),
    }

    supersede: Supersede = "same"
    same_question: float | None = Field(default=None, ge=0.0, le=1.0)
    sentence_encoder: bool | None = None
    same_text: float = Field(default=0.95, ge=0.0, le=1.0)
    same_subject: float = Field(default=0.75, ge=0.0, le=1.0)
    alike: float = Field(default=0.7, ge=0.0, le=1.0)
    alike_text: float = Field(default=0.6, ge=0.0, le=1.0)
    refine_steps: int = Field(default=60, ge=0)
    refine_rate: float = Field(default=0.2, gt=0.0)
    refine_margin: float = Field(default=1.0, ge=0.0)
    refine_broad: int | None = Field(default=None, ge=0)
    refine_locality: float = Field(default=0.1, ge=0.0)
