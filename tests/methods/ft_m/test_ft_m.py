"""FT-M: what it learns from is the target alone."""

import torch
from torch.nn import functional as F

from liveedit.editor import EditedModel
from liveedit.methods.ft_l.config import FineTuningLConfig
from liveedit.methods.ft_l.method import FineTuningL
from liveedit.methods.ft_m.config import FineTuningMConfig
from liveedit.methods.ft_m.method import FineTuningM
from liveedit.methods.shared.weights.target_pass import TargetPass

ASKED = "What animal is this?"


def test_the_loss_does_not_see_the_prompt(backbone, pictures) -> None:
    query = backbone.query([pictures[0]], [ASKED], ["a lynx"])
    one = TargetPass(backbone, query, lowest=3)
    target = query.input_ids[query.spans.target]
    assert one.labels.tolist() == target.tolist()
    logits = backbone.logits(query)
    literal = torch.stack(
        [
            F.cross_entropy(logits[0, at - 1], query.input_ids[0, at])
            for at in query.spans.target[0].nonzero().flatten().tolist()
        ]
    ).mean()
    torch.testing.assert_close(one.loss({}), literal)


def test_without_a_bound_it_moves_as_far_as_the_steps_go(backbone, pictures) -> None:
    free = EditedModel(FineTuningM(backbone, FineTuningMConfig(steps=8, enough=1e-9)))
    bound = EditedModel(FineTuningL(backbone, FineTuningLConfig(steps=8, enough=1e-9, norm=1e-3)))
    for model in (free, bound):
        model.edit(pictures[0], ASKED, "a lynx", keep=True)
    moved = [one.store.pool().take(None)["delta"][0].abs().max() for one in (free, bound)]
    assert moved[0] > 5 * moved[1]


def test_settings_to_tune_are_settings() -> None:
    for name, values in FineTuningMConfig.search_space.items():
        for value in values:
            assert getattr(FineTuningMConfig(**{name: value}), name) == value
