"""What SERAC trains: the classifier of scope, and the counterfactual model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from jaxtyping import Float
from torch import Tensor, nn

from liveedit.backbones.base import Backbone
from liveedit.methods.serac.config import SeracTraining
from liveedit.methods.serac.counterfactual import Counterfactual, Pointed, Read, pointing_loss
from liveedit.methods.shared.training.example_features import ExampleFeatures, example_features
from liveedit.methods.shared.training.examples import Example
from liveedit.methods.shared.training.kept_steps import KeptSteps
from liveedit.methods.shared.training.scope_network import ScopeNetwork, scope_loss
from liveedit.methods.shared.training.training_steps import drawn, train_steps

_SHARE = 2  # of the targets every second one is made up of tokens drawn at random
Tokens: TypeAlias = Sequence[int]


class SeracNetwork(nn.Module):
    """Both, side by side.

    Args:
        width: Of the backbone's states.
        embeddings: Of its input embeddings.
        training: Sizes.
    """

    def __init__(self, width: int, embeddings: int, training: SeracTraining) -> None:
        super().__init__()
        self.scope = ScopeNetwork(width, training.key)
        self.counterfactual = Counterfactual(
            embeddings, training.width, training.layers, training.heads
        )

    @classmethod
    def of(cls, backbone: Backbone, training: SeracTraining) -> SeracNetwork:
        """Of the sizes that a backbone needs."""
        embeddings = backbone.model.get_input_embeddings().weight.shape[1]
        return cls(backbone.width, embeddings, training)


def read_rows(
    backbone: Backbone, rows: Sequence[tuple[str, Tokens, str]]
) -> tuple[Read, Float[Tensor, "batch length embeddings"]]:
    """Tokens of corrections (question and target) and questions, and their embeddings.

    Args:
        backbone: The model.
        rows: The correction's question, the tokens of its target, and what is asked.
    """

    def encoded(text: str) -> list[int]:
        return backbone.tokenizer.encode(text, add_special_tokens=False)

    read = Read.of([(encoded(prompt), target, encoded(asked)) for prompt, target, asked in rows])
    with torch.no_grad():
        embedded = backbone.model.get_input_embeddings()(read.ids.to(backbone.device))
    return read, embedded.float().cpu()


def answer_rows(
    network: SeracNetwork, backbone: Backbone, rows: Sequence[tuple[str, Tokens, str]]
) -> Pointed:
    """What the counterfactual model answers, as many places as the longest target has tokens."""
    device = network.scope.threshold.device
    read, embedded = read_rows(backbone, rows)
    read, embedded = read.to(device), embedded.to(device)
    longest = max(len(target) for _, target, _ in rows)
    return network.counterfactual(read, embedded, longest)


def train_network(
    backbone: Backbone,
    examples: Sequence[Example],
    training: SeracTraining,
    *,
    seed: int,
    kept: KeptSteps,
) -> SeracNetwork:
    """Train both.

    Args:
        backbone: The frozen model.
        examples: Training corrections.
        training: Sizes and steps.
        seed: Of everything random.
        kept: Where the state of the training is.
    """
    torch.manual_seed(seed)
    network = SeracNetwork.of(backbone, training)
    features = example_features(backbone, examples, kept)
    network.scope.centre.copy_(features.vision[features.sees].mean(0))
    train_steps(
        network.scope.parameters(),
        _scope_batches(network.scope, features, len(examples), training.batch),
        steps=training.steps, rate=training.rate, seed=seed, name="scope", kept=kept,
    )  # fmt: skip
    train_steps(
        network.counterfactual.parameters(),
        _pointing_batches(network, backbone, examples, training),
        steps=training.steps, rate=training.rate, seed=seed, name="counterfactual",
        kept=kept,
    )  # fmt: skip
    return network.eval()


def _scope_batches(
    scope: ScopeNetwork, features: ExampleFeatures, count: int, batch: int
) -> Callable[[torch.Generator], Tensor]:
    return lambda generator: scope_loss(scope, features.of(drawn(count, batch, generator)))


def _pointing_batches(
    network: SeracNetwork,
    backbone: Backbone,
    examples: Sequence[Example],
    training: SeracTraining,
) -> Callable[[torch.Generator], Tensor]:
    """Questions in scope of corrections; of every second one the target is made up."""
    vocabulary = len(backbone.tokenizer)
    end = backbone.tokenizer.convert_tokens_to_ids(backbone.end_of_answer)

    def loss(generator: torch.Generator) -> Tensor:
        rows = []
        for at, number in enumerate(drawn(len(examples), training.batch, generator).tolist()):
            one = examples[number]
            target = backbone.target_ids(one.correction.target)
            if at % _SHARE:
                length = int(torch.randint(1, training.longest + 1, (), generator=generator))
                made_up = torch.randint(vocabulary, (length,), generator=generator)
                target = [*made_up.tolist(), end]
            asked = [one.correction.prompt, *(question for _, question in one.concerned)]
            which = int(torch.randint(len(asked), (), generator=generator))
            rows.append((one.correction.prompt, target, asked[which]))
        pointed = answer_rows(network, backbone, rows)
        lengths = torch.tensor([len(target) for _, target, _ in rows])
        places = torch.arange(pointed.weights.shape[1])
        wanted = torch.zeros(len(rows), len(places), dtype=torch.long)
        for row, (_, target, _) in enumerate(rows):
            wanted[row, : len(target)] = torch.tensor(target)
        real = places < lengths[:, None]
        device = pointed.ids.device
        return pointing_loss(pointed, wanted.to(device), real.to(device))

    return loss
