"""WISE: masks, merging, margins, and a side memory that answers above its threshold alone."""

import pytest
import torch
from pydantic import ValidationError

from liveedit.backbones.query import Questions
from liveedit.editor import EditedModel
from liveedit.methods.shared.weights.target_pass import TargetPass
from liveedit.methods.wise.config import WiseConfig
from liveedit.methods.wise.learning import asked_at, margins
from liveedit.methods.wise.memory import SideMemory, activation
from liveedit.methods.wise.merging import mask_of, merged
from liveedit.methods.wise.method import Wise

ASKED, OTHER = "What animal is this?", "Where was it taken?"
QUICK = {"steps": 3, "rate": 3.0}


def answered(method: Wise, asked: Questions, pool):
    """Logits, and what is told of the edits that did it."""
    told = []
    with method.apply(asked, pool, lambda *one: told.append(one)) as query:
        logits = method.backbone.logits(query)
    ((route, _),) = told
    return logits, route


def test_a_mask_is_the_same_again_and_has_its_density() -> None:
    one = mask_of(3, (200, 300), 0.2)
    assert torch.equal(one, mask_of(3, (200, 300), 0.2))
    assert 0.18 < one.float().mean() < 0.22
    both = (one & mask_of(4, (200, 300), 0.2)).float().mean()
    assert 0.03 < both < 0.05


def test_merging_equals_a_literal_version() -> None:
    torch.manual_seed(0)
    changes = [torch.randn(4, 5) for _ in range(3)]
    trimmed = []
    for one in changes:
        least = one.abs().flatten().sort(descending=True).values[9]
        trimmed.append(torch.where(one.abs() >= least, one, torch.zeros(())))
    expected = torch.zeros(4, 5)
    for row in range(4):
        for column in range(5):
            there = [float(one[row, column]) for one in trimmed if one[row, column] != 0]
            same = [value for value in there if value * sum(there) > 0]
            expected[row, column] = sum(same) / len(same) if same else 0.0
    torch.testing.assert_close(merged(changes, trim=0.5), expected)


def test_what_does_not_overlap_is_merged_whole() -> None:
    one, two = torch.zeros(2, 4), torch.zeros(2, 4)
    one[0], two[1] = torch.randn(4), torch.randn(4)
    torch.testing.assert_close(merged([one, two], trim=0.53), one + two)


def test_edits_fill_one_mask_after_the_other_and_are_merged_for_good() -> None:
    config = WiseConfig(per_mask=2, masks=2)
    memory = SideMemory.empty((3, 4))
    changes = [torch.randn(3, 4) for _ in range(5)]
    for at, change in enumerate(changes):
        assert memory.next_mask(config) == at // 2
        memory = memory.plus(change, at // 2, 10.0 - at, config)
        assert (memory.count, len(memory.shards)) == [(1, 1), (2, 1), (1, 2), (2, 2), (1, 1)][at]
    base = merged([changes[0] + changes[1], changes[2] + changes[3]], config.trim)
    torch.testing.assert_close(memory.base, base)
    torch.testing.assert_close(memory.weight, base + merged([changes[4]], config.trim))
    assert memory.least == 6.0


def test_an_edit_stays_in_the_mask_it_learned_in_whatever_was_superseded() -> None:
    config = WiseConfig(per_mask=2, masks=3)
    changes = [torch.randn(3, 4) for _ in range(4)]
    numbers = [0, 0, 1, 1]
    memory = SideMemory.empty((3, 4))
    for change, number in list(zip(changes, numbers, strict=True))[1:]:  # the first is superseded
        memory = memory.plus(change, number, 1.0, config)
    torch.testing.assert_close(memory.weight, merged([changes[1], changes[2] + changes[3]], 0.53))
    assert memory.next_mask(config) == 2


def test_activation_and_margins_equal_literal_versions() -> None:
    torch.manual_seed(0)
    inputs, weight = torch.randn(2, 3, 4), torch.randn(5, 4)
    asked = torch.tensor([[True, True, False], [False, True, False]])
    literal = [
        sum(float((weight @ inputs[row, at]).norm()) for at in range(3) if asked[row, at])
        / int(asked[row].sum())
        for row in range(2)
    ]
    torch.testing.assert_close(activation(inputs, asked, weight), torch.tensor(literal))
    config = WiseConfig(alpha=5, beta=20, gamma=10)
    own, others = torch.tensor([12.0]), torch.tensor([3.0, 7.0])
    expected = (0 + 2) / 2 + 8 + (1 + 5) / 2
    assert float(margins(own, others, config)) == pytest.approx(expected)
    assert float(margins(torch.tensor([25.0]), torch.tensor([4.0]), config)) == 0.0


def test_learning_moves_only_what_the_mask_lets_through(backbone, pictures) -> None:
    method = Wise(backbone, WiseConfig(**QUICK))
    model = EditedModel(method)
    model.edit(pictures[0], ASKED, "a lynx", keep=True)
    ((_, changes),) = method.rows_of(model.store.pool(), 1)
    mask = mask_of(0, method.sizes(method.path), 0.2)
    weight = changes[method.path].weight
    assert not weight[~mask].any()
    assert weight[mask].any()
    assert weight.abs().max() <= 1.0
    (taken,) = model.store.pool().take(None)["delta"]
    assert taken.dtype == torch.float16
    assert taken.shape == (int(mask.sum()),)


def test_the_side_memory_answers_only_above_its_threshold(backbone, pictures) -> None:
    method = Wise(backbone, WiseConfig(ratio=0.999, **QUICK))
    model = EditedModel(method)
    model.edit(pictures[0], ASKED, "a lynx", keep=True)
    pool = model.store.pool()
    ((_, changes),) = method.rows_of(pool, 1)
    memory = changes[method.path]
    own = [(pictures[0], ASKED), (pictures[1], OTHER), (None, OTHER), (pictures[2], ASKED)]
    above = []
    for picture, prompt in own:
        query = backbone.query([picture], [prompt])
        found = float(asked_at(backbone, query, method.path).activate(memory.weight))
        above.append(found > 0.999 * memory.least)
        before = backbone.logits(query)
        asked = Questions(pictures=[picture], prompts=[prompt])
        after, route = answered(method, asked, pool)
        assert torch.equal(after, before) != above[-1]
        assert bool(route.weights.any()) == above[-1]
        assert torch.equal(method.route(asked, pool)[0].weights, route.weights)
        if above[-1]:
            with backbone.module_hooks.changing(
                {method.path: lambda inputs, output: output + memory.added(inputs)}
            ):
                torch.testing.assert_close(after, backbone.logits(query))
    assert above[0]
    assert not all(above)


def test_what_was_decided_at_the_prompt_holds_for_the_answer(backbone, pictures) -> None:
    method = Wise(backbone, WiseConfig(ratio=0.999, **QUICK))
    model = EditedModel(method)
    model.edit(pictures[0], ASKED, "a lynx", keep=True)
    asked = [pictures[0], None], [ASKED, OTHER]
    together = model.generate(*asked, max_new_tokens=4)
    assert together == [model.generate(*one, max_new_tokens=4) for one in zip(*asked, strict=True)]
    assert together == model.generate(*asked, max_new_tokens=4, use_cache=False)
    assert len(model.generate(*asked, max_new_tokens=4, num_beams=3)) == 2


def test_a_target_counts_as_reached_only_if_its_question_is_routed(backbone, pictures) -> None:
    method = Wise(backbone, WiseConfig(**QUICK))
    query = backbone.query([pictures[0]], [ASKED], ["a lynx"])
    target = TargetPass(backbone, query, method.lowest)
    memory = SideMemory.empty(method.sizes(method.path))
    asleep = memory.plus(torch.ones(method.sizes(method.path)), 0, 1e9, method.config)
    assert method.right(target, {method.path: asleep}) == target.right({})[0]


def test_bad_settings_are_refused(backbone) -> None:
    for wrong in ({"density": 0}, {"density": 1.5}, {"per_mask": 0}, {"ratio": 0}, {"side": 1}):
        with pytest.raises(ValidationError):
            WiseConfig(**wrong)
    with pytest.raises(ValueError, match="give one of 0 to 3"):
        Wise(backbone, WiseConfig(layer=4))
    assert Wise(backbone, WiseConfig()).path == "layers.3.mlp.down_proj"
    one, other = Wise(backbone, WiseConfig()), Wise(backbone, WiseConfig(density=0.3))
    assert one.identity != other.identity
    for name, values in WiseConfig.search_space.items():
        for value in values:
            assert getattr(WiseConfig(**{name: value}), name) == value
