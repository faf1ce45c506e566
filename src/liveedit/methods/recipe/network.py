"""What RECIPE trains: the retriever by contrast, and the prompt encoder through the backbone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from liveedit.backbones.base import Backbone
from liveedit.backbones.kept_logits import kept_logits
from liveedit.backbones.query import Query
from liveedit.methods.recipe.config import RecipeTraining
from liveedit.methods.recipe.prompts import PromptEncoder, prompts_of
from liveedit.methods.recipe.retriever import Retriever, retrieval_loss
from liveedit.methods.shared.feed_forward.passes import answering
from liveedit.methods.shared.sentence_encoder import encode_questions
from liveedit.methods.shared.training.example_features import example_features
from liveedit.methods.shared.training.examples import Asked, Example
from liveedit.methods.shared.training.kept_steps import KeptSteps
from liveedit.methods.shared.training.training_steps import drawn, train_steps


class RecipeNetwork(nn.Module):
    """Both, side by side.

    Args:
        backbone: The model they are for.
        training: Sizes.
    """

    def __init__(self, backbone: Backbone, training: RecipeTraining) -> None:
        super().__init__()
        embeddings = backbone.model.get_input_embeddings().weight.shape[1]
        self.retriever = Retriever(backbone.width, training.key, training.dropout)
        self.encoder = PromptEncoder(
            embeddings, training.width, training.layers, training.heads,
            shared=training.shared, tokens=training.tokens,
        )  # fmt: skip


@contextmanager
def prompted(
    backbone: Backbone,
    query: Query,
    rows: Sequence[int],
    prompts: Float[Tensor, "rows tokens embeddings"],
) -> Iterator[None]:
    """Within this context, in this thread or task, some rows begin with continuous prompts.

    Args:
        backbone: The model.
        query: Made with a place for them (``lead``) in these rows.
        rows: Which.
        prompts: One for each.
    """
    count, length = query.input_ids.shape
    starts = query.attention_mask.argmax(1).tolist()
    embeddings = backbone.model.get_input_embeddings()
    path = next(name for name, one in backbone.model.named_modules() if one is embeddings)

    def put(_ids: Tensor, embedded: Tensor) -> Tensor | None:
        if embedded.ndim != 3 or embedded.shape[1] < length:
            return None  # a step that goes on with a cache
        times = embedded.shape[0] // count
        changed = embedded.clone()
        for row, prompt in zip(rows, prompts.to(embedded), strict=True):
            own = slice(row * times, (row + 1) * times)
            changed[own, starts[row] : starts[row] + len(prompt)] = prompt
        return changed

    with backbone.model_hooks.changing({path: put}):
        yield


def train_network(
    backbone: Backbone,
    examples: Sequence[Example],
    training: RecipeTraining,
    *,
    seed: int,
    kept: KeptSteps,
) -> RecipeNetwork:
    """Train both.

    Args:
        backbone: The frozen model.
        examples: Training corrections.
        training: Sizes and steps.
        seed: Of everything random.
        kept: Where the state of the training is.
    """
    torch.manual_seed(seed)
    network = RecipeNetwork(backbone, training).to(backbone.edit_device)
    _train_retriever(network.retriever, backbone, examples, training, seed, kept)
    weight = backbone.model.get_input_embeddings().weight
    if weight.is_floating_point():
        network.encoder.unit.copy_(weight[:1024].float().square().mean().sqrt())
    others = [(number, other) for number, one in enumerate(examples) for other in one.unconcerned]

    def loss(generator: torch.Generator) -> Tensor:
        told = [examples[at] for at in drawn(len(examples), training.batch, generator).tolist()]
        asked = [_one_of(one, generator) for one in told]
        value = _surprise(network.encoder, backbone, told, asked)
        away = min(max(training.batch // 4, 1), len(others))
        if away and training.locality:
            some = [others[at] for at in drawn(len(others), away, generator).tolist()]
            value = value + training.locality * _moved(
                network.encoder,
                backbone,
                [examples[at] for at, _ in some],
                [one for _, one in some],
            )
        return value

    train_steps(
        network.encoder.parameters(), loss,
        steps=training.steps, rate=training.rate, seed=seed, name="prompts", kept=kept,
    )  # fmt: skip
    return network.eval()


def _train_retriever(
    retriever: Retriever,
    backbone: Backbone,
    examples: Sequence[Example],
    training: RecipeTraining,
    seed: int,
    kept: KeptSteps,
) -> None:
    features = example_features(backbone, examples, kept)
    seen = features.vision[features.sees]
    if len(seen):
        retriever.centre.copy_(seen.mean(0))
        retriever.scale.copy_((seen - seen.mean(0)).norm(dim=1).mean().clamp(min=1e-6))
    stated = encode_questions(
        [f"{one.correction.prompt} {one.correction.target}" for one in examples]
    )

    def loss(generator: torch.Generator) -> Tensor:
        numbers = drawn(len(examples), training.retrieval_batch, generator)
        batch = features.of(numbers).to(retriever.sentinel.device)
        statements = stated[numbers.sort().values].to(retriever.sentinel.device)
        return retrieval_loss(retriever, batch, statements, training.temperature)

    train_steps(
        retriever.parameters(), loss,
        steps=training.retrieval_steps, rate=1e-3, seed=seed, name="retriever", kept=kept,
    )  # fmt: skip


def _one_of(one: Example, generator: torch.Generator) -> Asked:
    """The correction's own question, or one that it concerns, too."""
    asked = [(one.correction.image, one.correction.prompt), *one.concerned]
    picture, question = asked[int(torch.randint(len(asked), (), generator=generator))]
    assert picture is None or not isinstance(picture, Sequence)
    return picture, question


def _behind(
    encoder: PromptEncoder,
    backbone: Backbone,
    told: Sequence[Example],
    asked: Sequence[Asked],
    targets: Sequence[str] | None,
) -> tuple[Query, Float[Tensor, "kept vocabulary"]]:
    """Questions behind prompts of corrections, and logits of targets, or of the first token."""
    prompts = prompts_of(
        encoder, backbone, [(one.correction.prompt, one.correction.target) for one in told]
    )
    pictures, questions = zip(*asked, strict=True)
    lead = [prompts.shape[1]] * len(told)
    query = backbone.query(pictures, questions, targets, lead=lead)
    with prompted(backbone, query, range(len(told)), prompts):
        keep = _last(query) if targets is None else query.spans.predicts
        return query, kept_logits(backbone, query, keep).float()


def _surprise(
    encoder: PromptEncoder, backbone: Backbone, told: Sequence[Example], asked: Sequence[Asked]
) -> Float[Tensor, ""]:
    """Cross-entropy of the targets."""
    targets = [one.correction.target for one in told]
    query, logits = _behind(encoder, backbone, told, asked, targets)
    words = query.input_ids.roll(-1, 1)[query.spans.predicts.to(query.input_ids.device)]
    return F.cross_entropy(logits, words.to(logits.device))


def _moved(
    encoder: PromptEncoder, backbone: Backbone, told: Sequence[Example], asked: Sequence[Asked]
) -> Float[Tensor, ""]:
    """Divergence of the answer's first token from the unedited model's."""
    pictures, questions = zip(*asked, strict=True)
    plain = backbone.query(pictures, questions)
    with torch.no_grad():
        before = kept_logits(backbone, plain, _last(plain)).float().log_softmax(-1)
    _, logits = _behind(encoder, backbone, told, asked, None)
    return F.kl_div(logits.log_softmax(-1), before, log_target=True, reduction="batchmean")


def _last(query: Query) -> Bool[Tensor, "batch length"]:
    """The last token of each prompt."""
    at = answering(query.spans).int().argmax(1, keepdim=True)
    return torch.zeros_like(query.spans.prompt).scatter(1, at, True)
