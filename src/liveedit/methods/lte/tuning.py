"""Low-rank tuning: the model learns to use what it is told where it matters, and only there."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from liveedit.backbones.base import Backbone
from liveedit.backbones.kept_logits import kept_logits
from liveedit.backbones.linears import linear_path, linear_sizes
from liveedit.backbones.query import Query
from liveedit.errors import MethodCannot
from liveedit.methods.lte.config import LteTraining
from liveedit.methods.shared.training.examples import Asked, Example
from liveedit.methods.shared.training.kept_steps import KeptSteps
from liveedit.methods.shared.training.said import said_once
from liveedit.methods.shared.training.training_steps import drawn, train_steps
from liveedit.methods.shared.weights.peft_factors import check_peft, new_factors
from liveedit.methods.shared.weights.weight_change import LowRank, in_rows

_TOKENS = 12  # longest answer of the unedited model that is to be kept


class LowRankTuning(nn.Module):
    """Changes of the query and value projections of all layers, beside the model.

    Args:
        backbone: The model.
        training: Rank and scale.
        seed: Of the random factors.

    Raises:
        MissingExtra: peft, which makes them, is not installed.
        MethodCannot: The model has no such projections.
    """

    def __init__(self, backbone: Backbone, training: LteTraining, *, seed: int = 0) -> None:
        super().__init__()
        check_peft()
        found = [
            linear_path(backbone, layer, role)
            for layer in range(backbone.layers)
            for role in ("query", "value")
        ]
        self.paths = [path for path in found if path is not None]
        if len(self.paths) < len(found):
            raise MethodCannot(
                "lte",
                f"tune {backbone.name}, whose layers have no query and value projections",
                instead="take a method that edits hidden states",
            )
        factors, self.scale = new_factors(
            {path: linear_sizes(backbone, path) for path in self.paths},
            rank=training.rank, alpha=training.alpha, seed=seed,
        )  # fmt: skip
        self.reads = nn.ParameterList(factors[path][0] for path in self.paths)
        self.writes = nn.ParameterList(factors[path][1].T.contiguous() for path in self.paths)

    def following(
        self, backbone: Backbone, rows: Sequence[int], batch: int, strength: float
    ) -> AbstractContextManager[None]:
        """Within this context, in this thread or task, some rows of a batch follow what is told.

        Args:
            backbone: The model.
            rows: Which.
            batch: Rows of the batch.
            strength: What the change is multiplied by.
        """
        changes = {
            path: LowRank(reads=reads, writes=self.scale * strength * writes)
            for path, reads, writes in zip(self.paths, self.reads, self.writes, strict=True)
        }
        return backbone.module_hooks.changing(in_rows([(rows, changes)], batch))


def tune(
    backbone: Backbone,
    examples: Sequence[Example],
    training: LteTraining,
    *,
    seed: int,
    kept: KeptSteps,
) -> LowRankTuning:
    """Tune on training corrections.

    Args:
        backbone: The frozen model.
        examples: The corrections.
        training: Sizes and steps.
        seed: Of everything random.
        kept: Where the state of the tuning is; one that was stopped goes on.
    """
    tuning = LowRankTuning(backbone, training, seed=seed).to(backbone.edit_device)
    others = [(number, other) for number, one in enumerate(examples) for other in one.unconcerned]
    said = said_once(backbone, [other for _, other in others], tokens=_TOKENS, kept=kept)
    answered = [
        (examples[number], other, answer)
        for (number, other), answer in zip(others, said, strict=True)
        if answer
    ]

    def loss(generator: torch.Generator) -> Tensor:
        outside = min(training.batch // 3, len(answered))
        inside = drawn(len(examples), training.batch - outside, generator).tolist()
        told = [examples[number] for number in inside]
        questions = [_one_of(one, generator) for one in told]
        value = _follow(tuning, backbone, training, told, questions)
        if outside:
            some = [answered[at] for at in drawn(len(answered), outside, generator).tolist()]
            value = value + training.locality * _moved(tuning, backbone, training, some)
        return value

    train_steps(
        tuning.parameters(), loss,
        steps=training.steps, rate=training.rate, seed=seed, name="lte", kept=kept,
    )  # fmt: skip
    return tuning.eval()


def _one_of(one: Example, generator: torch.Generator) -> Asked:
    """The correction's own question, or one that it concerns, too."""
    asked = [(one.correction.image, one.correction.prompt), *one.concerned]
    picture, question = asked[int(torch.randint(len(asked), (), generator=generator))]
    assert picture is None or not isinstance(picture, Sequence)
    return picture, question


def _follow(
    tuning: LowRankTuning,
    backbone: Backbone,
    training: LteTraining,
    told: Sequence[Example],
    asked: Sequence[Asked],
) -> Float[Tensor, ""]:
    """Cross-entropy of the targets behind corrections that concern the questions."""
    query = _query(backbone, training, told, asked, [one.correction.target for one in told])
    logits = _logits(tuning, backbone, query)
    words = query.input_ids.roll(-1, 1)[query.spans.predicts.to(query.input_ids.device)]
    return F.cross_entropy(logits, words.to(logits.device))


def _moved(
    tuning: LowRankTuning,
    backbone: Backbone,
    training: LteTraining,
    some: Sequence[tuple[Example, Asked, str]],
) -> Float[Tensor, ""]:
    """Divergence from the unedited model behind corrections that do not concern the questions.

    At the tokens of what it says by itself.
    """
    told, asked, said = zip(*some, strict=True)
    pictures, questions = zip(*asked, strict=True)
    plain = backbone.query(pictures, questions, said)
    with torch.no_grad():
        before = kept_logits(backbone, plain, plain.spans.predicts).float().log_softmax(-1)
    after = _logits(tuning, backbone, _query(backbone, training, told, asked, said))
    return F.kl_div(after.log_softmax(-1), before, log_target=True, reduction="batchmean")


def _query(
    backbone: Backbone,
    training: LteTraining,
    told: Sequence[Example],
    asked: Sequence[Asked],
    targets: Sequence[str],
) -> Query:
    prompts = [
        training.form.format(
            prompt=one.correction.prompt, target=one.correction.target, question=question
        )
        for one, (_, question) in zip(told, asked, strict=True)
    ]
    return backbone.query([picture for picture, _ in asked], prompts, targets)


def _logits(
    tuning: LowRankTuning, backbone: Backbone, query: Query
) -> Float[Tensor, "kept vocabulary"]:
    rows = range(len(query.input_ids))
    with tuning.following(backbone, rows, len(rows), 1.0):
        return kept_logits(backbone, query, query.spans.predicts).float()
