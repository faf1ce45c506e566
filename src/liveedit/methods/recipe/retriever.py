"""Which knowledge a question asks for: contrastive encoders, and a sentinel as the threshold."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from liveedit.methods.shared.sentence_encoder import SENTENCE_WIDTH
from liveedit.methods.shared.training.example_features import EDIT, UNCONCERNED, ExampleFeatures


class Retriever(nn.Module):
    """Encoders of questions and of knowledge, each of a picture and a text; and the sentinel.

    Args:
        vision: Width of a picture's feature.
        key: Width of what is compared.
        dropout: Share that is left out while it is trained.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, vision: int, key: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(vision))
        self.register_buffer("scale", torch.ones(()))
        self.question, self.knowledge = (
            nn.Sequential(
                nn.Dropout(dropout), nn.Linear(vision + SENTENCE_WIDTH, 2 * key), nn.GELU(),
                nn.Dropout(dropout), nn.Linear(2 * key, key),
            )
            for _ in range(2)
        )  # fmt: skip
        self.sentinel = nn.Parameter(torch.randn(key))

    def questions(
        self, vision: Float[Tensor, "rows width"], prompt: Float[Tensor, "rows sentence"]
    ) -> Float[Tensor, "rows key"]:
        """Questions as vectors of unit length."""
        return F.normalize(self.question(self._joined(vision, prompt)), dim=1)

    def knowledges(
        self, vision: Float[Tensor, "rows width"], statement: Float[Tensor, "rows sentence"]
    ) -> Float[Tensor, "rows key"]:
        """Knowledge, a picture and what is stated about it, as vectors of unit length."""
        return F.normalize(self.knowledge(self._joined(vision, statement)), dim=1)

    def threshold(self, questions: Float[Tensor, "rows key"]) -> Float[Tensor, "rows 1"]:
        """What the similarity of knowledge must exceed: the sentinel's."""
        return questions @ F.normalize(self.sentinel, dim=0)[:, None]

    def _joined(self, vision: Tensor, text: Tensor) -> Tensor:
        """No picture is zero, and a picture is brought to the length of a text."""
        seen = vision.any(1, keepdim=True)
        return torch.cat([(vision - self.centre) * seen / self.scale, text], 1)


def retrieval_loss(
    retriever: Retriever,
    batch: ExampleFeatures,
    statements: Float[Tensor, "edits sentence"],
    temperature: float,
) -> Float[Tensor, ""]:
    """Each question finds its own knowledge, against all other and the sentinel.

    What no correction concerns finds the sentinel, against all knowledge.

    Args:
        retriever: The encoders.
        batch: Questions of some corrections.
        statements: Embeddings of what these state, in the order of their own questions.
        temperature: Of the softmax.
    """
    own = batch.role == EDIT
    knowledge = retriever.knowledges(batch.vision[own], statements)
    questions = retriever.questions(batch.vision, batch.prompt)
    scores = torch.cat([questions @ knowledge.T, retriever.threshold(questions)], 1) / temperature
    mine: Bool[Tensor, "questions edits"] = batch.owner[:, None] == batch.owner[own]
    wanted = torch.where(batch.role == UNCONCERNED, int(own.sum()), mine.long().argmax(1))
    each = F.cross_entropy(scores, wanted, reduction="none")
    # the sentinel is the next best of what is found: it stays above all other knowledge
    others = scores.masked_fill(F.pad(mine, (0, 1)), -torch.inf)
    second = F.cross_entropy(others, torch.full_like(wanted, int(own.sum())), reduction="none")
    away = batch.role == UNCONCERNED
    parts = [each[~away], each[away], second[~away]]
    return torch.stack([part.mean() for part in parts if len(part)]).mean()
