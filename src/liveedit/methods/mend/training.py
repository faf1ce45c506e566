"""Training of MEND's network: edits that are learned, and leave alone what they do not concern.

The layers below the lowest that is changed run once for each example. A training that was stopped
goes on from its last hundred steps, with the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.methods.mend.config import MendTraining
from liveedit.methods.mend.gradients import Gradient, gradients
from liveedit.methods.mend.network import MendNetwork
from liveedit.methods.shared.training.examples import Asked, Example
from liveedit.methods.shared.training.kept_steps import KeptSteps
from liveedit.methods.shared.training.training_steps import train_steps
from liveedit.methods.shared.weights.target_pass import TargetPass


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """An example as it is trained on.

    Args:
        gradient: Of the correction, by the unedited model.
        concerned: The correction and what should be answered with its target.
        unconcerned: What should be answered as before; None if there is nothing.
        before: Log-probabilities of the unedited model there.
    """

    gradient: dict[str, Gradient]
    concerned: TargetPass
    unconcerned: TargetPass | None
    before: Float[Tensor, "kept vocabulary"]


def prepare_example(backbone: Backbone, example: Example, network: MendNetwork) -> Prepared:
    """Run the unedited model over an example."""
    lowest = min(int(path.split(".")[1]) for path in network.paths)
    one = example.correction
    own: Asked = (one.image, one.prompt)  # type: ignore[assignment]
    target = TargetPass(backbone, backbone.query([own[0]], [own[1]], [one.target]), lowest)
    asked = [own, *example.concerned]
    query = backbone.query([p for p, _ in asked], [q for _, q in asked], [one.target] * len(asked))
    others, before = None, torch.empty(0, 0)
    if example.unconcerned:
        apart = backbone.query(
            [p for p, _ in example.unconcerned], [q for _, q in example.unconcerned]
        )
        others = TargetPass(backbone, apart, lowest, keep=apart.spans.prompt)
        with torch.no_grad():
            before = others.logits({}).float().log_softmax(-1).half()
    return Prepared(
        gradient=gradients(target, {}, network.sizes),
        concerned=TargetPass(backbone, query, lowest),
        unconcerned=others,
        before=before,
    )


def losses(network: MendNetwork, example: Prepared) -> dict[str, Float[Tensor, ""]]:
    """Unweighted: cross entropy of the target where it should be given, divergence elsewhere."""
    changes = network(example.gradient)
    found = {"edit": example.concerned.loss(changes)}
    if example.unconcerned is not None:
        after = example.unconcerned.logits(changes).float().log_softmax(-1)
        before = example.before.float()
        found["locality"] = F.kl_div(after, before, reduction="batchmean", log_target=True)
    return found


def train(
    backbone: Backbone,
    network: MendNetwork,
    examples: Sequence[Example],
    training: MendTraining,
    kept: KeptSteps,
) -> MendNetwork:
    """Train the network; one that was stopped goes on.

    Args:
        backbone: The frozen model.
        network: As it was made; it is changed.
        examples: What it learns from.
        training: How.
        kept: Where the state of the training is.

    Raises:
        ValueError: There are no examples.
    """
    if not examples:
        raise ValueError("give training corrections as examples")
    seen = [
        prepare_example(backbone, example, network)
        for example in tqdm(examples, desc="examples", unit="example")
    ]
    network.measure([one.gradient for one in seen])
    others = [one for name, one in network.named_parameters() if name != "log_rate"]
    groups: list[dict[str, Any]] = [
        {"params": others},
        {"params": [network.log_rate], "lr": training.rate_learning_rate},
    ]

    def loss(generator: torch.Generator) -> Tensor:
        terms = losses(network, seen[int(torch.randint(len(seen), (), generator=generator))])
        whole = training.edit * terms["edit"]
        return whole + training.locality * terms["locality"] if "locality" in terms else whole

    train_steps(
        groups,
        loss,
        steps=training.steps,
        rate=training.learning_rate,
        seed=training.seed,
        name="mend",
        kept=kept,
        clip=training.clip,
    )
    return network.eval().requires_grad_(False)
