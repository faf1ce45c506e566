"""Losses of the generator, against each view by itself through the whole model."""

from itertools import islice

import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from liveedit.data.cached_states import cache_views
from liveedit.data.emoji_edit.corrections import training_cases
from liveedit.data.emoji_edit.knowledge import text_cases
from liveedit.data.views import TAUGHT, TEXT_TAUGHT, Case, views_of
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.experts import Experts
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale
from liveedit.methods.liveedit.residual import RoutedExperts
from liveedit.training import expert_losses as losses

CASES: dict[str, tuple[list[Case], tuple[str, ...], losses.Sides]] = {
    "with a picture": (list(islice(training_cases(), 5)), TAUGHT, losses.PICTURED),
    "text-only": (list(islice(text_cases("train"), 5)), TEXT_TAUGHT, losses.TEXT_ONLY),
}


@pytest.mark.parametrize("kind", CASES)
def test_losses_equal_those_of_whole_passes(backbone, kind, tmp_path, monkeypatch) -> None:
    """Each view by itself through the whole model, the expert added by a hook of the test's own."""
    some, names, sides = CASES[kind]
    views = cache_views(backbone, some, tmp_path, names=names)
    torch.manual_seed(0)
    network = EditorNetwork(EditorConfig(width=32, heads=2, rank=8), backbone.width)
    network.set_scale(measure_scale(views.all_states))
    network.generator.v_gain.data.fill_(10)
    monkeypatch.setattr(losses, "_WEAKEST", 1.0)
    chosen = torch.tensor([4, 1, 2, 0])
    torch.manual_seed(5)
    with torch.no_grad():
        found = losses.expert_losses(backbone, network, views, chosen, sides)
    torch.manual_seed(5)
    drawn = [
        [of[at] for at in torch.randint(0, len(of), (4,)).tolist()]
        for of in (("rephrase", "redrawn", "met again"), ("other image", "other question"))
    ]
    if kind == "with a picture":  # in place of a long message the rephrased question is taken
        met = torch.full((4,), names.index("met again"))
        long = (views.lengths(chosen, met) > losses._LONGEST).tolist()
        drawn[0] = [
            "rephrase" if view == "met again" and too else view
            for view, too in zip(drawn[0], long, strict=True)
        ]
    else:
        drawn = [["rephrase"] * 4, ["other question"] * 4]

    def logits(
        view: tuple[Image.Image | None, str], target: str, made: Experts | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        query = backbone.query([view[0]], [view[1]], [target])

        def add(_module, _inputs, hidden):
            if made is None:
                return hidden
            return RoutedExperts(experts=made, weights=torch.ones(1, 1)).add_to(
                hidden, network.scale
            )

        handle = backbone.layer.register_forward_hook(add)
        with torch.no_grad():
            out = backbone.model(**query.model_inputs()).logits[query.spans.predicts]
        handle.remove()
        return out, query.input_ids[query.spans.target]

    reliability, generality, locality = [], [], []
    for row, index in enumerate(chosen.tolist()):
        case, batch = some[index], views.batch(torch.tensor([index]), torch.tensor([0]))
        whole = batch.representation(backbone, network.scale, lexical=True)
        with torch.no_grad():
            made = network.generator(whole)
        itself, general, strict = views_of(case, ("edit", drawn[0][row], drawn[1][row]))
        out, words = logits(itself, case.target, made)
        reliability += F.cross_entropy(out, words, reduction="none").tolist()
        out, words = logits(general, case.target, made)
        generality += F.cross_entropy(out, words, reduction="none").tolist()
        edited, _ = logits(strict, case.target, made)
        plain, _ = logits(strict, case.target, None)
        target = plain.softmax(1)
        locality += (target * (plain.log_softmax(1) - edited.log_softmax(1))).sum(1).tolist()
    for name, values in (
        ("reliability", reliability), ("generality", generality), ("locality", locality),
    ):  # fmt: skip
        assert found[name].item() == pytest.approx(sum(values) / len(values), rel=1e-3), name
