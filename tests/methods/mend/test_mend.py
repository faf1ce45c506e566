"""MEND: an edit is the outer products of transformed gradients."""

import json

import pytest
import torch
from pydantic import ValidationError

from liveedit.backbones.query import Questions
from liveedit.correction import Correction
from liveedit.editor import EditedModel
from liveedit.errors import BackboneMismatch, BadCheckpoint
from liveedit.methods.mend.config import MendConfig, MendNetworkConfig, MendTraining
from liveedit.methods.mend.gradients import Gradient, gradients
from liveedit.methods.mend.method import Mend, new_network
from liveedit.methods.mend.network import GradientTransform, balanced
from liveedit.methods.mend.training import losses, prepare_example, train
from liveedit.methods.shared.training.examples import Example
from liveedit.methods.shared.training.kept_steps import KeptSteps
from liveedit.methods.shared.weights.factors import factors_of
from liveedit.methods.shared.weights.target_pass import TargetPass
from liveedit.methods.shared.weights.weight_change import LowRank
from tests.backbones.families import tiny
from tests.methods.mend.networks import measured_network

ASKED, AGAIN, OTHER = "What animal is this?", "Which animal is it?", "Where was it taken?"
SMALL = MendNetworkConfig(layers=2, rank=4)


@pytest.fixture
def examples(pictures):
    return [
        Example(
            correction=Correction(image=picture, prompt=ASKED, target=target),
            concerned=[(picture, AGAIN)],
            unconcerned=[(picture, OTHER)],
        )
        for picture, target in zip(pictures[:2], ("a lynx", "a cat"), strict=True)
    ]


def test_gradients_are_those_of_the_weight(backbone, pictures) -> None:
    query = backbone.query([pictures[0]], [ASKED], ["a lynx"])
    path = "layers.3.mlp.down_proj"
    target = TargetPass(backbone, query, 2)
    found = gradients(target, {}, {path: (64, 96)})[path]
    weight = backbone.decoder.layers[3].mlp.down_proj.weight
    weight.requires_grad_()
    try:
        (literal,) = torch.autograd.grad(target.loss({}), weight)
    finally:
        weight.requires_grad_(False)
    outer = sum(torch.outer(d, x) for x, d in zip(found.inputs, found.outputs, strict=True))
    torch.testing.assert_close(outer, literal, atol=1e-7, rtol=1e-4)


def test_an_untrained_network_changes_nothing_but_the_scale() -> None:
    torch.manual_seed(0)
    transform = GradientTransform(wide=3, high=2, rank=2, modules=2)
    one = Gradient(inputs=torch.randn(5, 3) * 4 + 1, outputs=torch.randn(5, 2) * 1e-3)
    transform.measure(one)
    inputs, outputs = transform(one, 1)
    for given, part in ((inputs, one.inputs), (outputs, one.outputs)):
        literal = (part - part.mean(0)) / part.std(0)
        torch.testing.assert_close(given, literal, atol=1e-4, rtol=1e-4)


def test_layers_equal_a_literal_version() -> None:
    torch.manual_seed(0)
    transform = GradientTransform(wide=3, high=2, rank=2, modules=2)
    with torch.no_grad():
        for one in transform.parameters():
            one.normal_()
    gradient = Gradient(inputs=torch.randn(4, 3), outputs=torch.randn(4, 2))
    inputs, outputs = transform(gradient, 1)
    for token in range(4):
        z = torch.cat([gradient.inputs[token], gradient.outputs[token]])
        for layer in (transform.first, transform.second):
            inner = layer.u.T @ (layer.v.T @ z) + layer.bias
            z = z + torch.relu(layer.scale[1] * inner + layer.shift[1])
        torch.testing.assert_close(torch.cat([inputs[token], outputs[token]]), z)


def test_a_step_equals_the_outer_products_it_claims(backbone, pictures) -> None:
    network = measured_network(backbone)
    method = Mend(backbone, network, MendConfig(strength=0.5))
    model = EditedModel(method)
    outcome = model.edit(pictures[0], ASKED, "a lynx", keep=True)
    assert outcome.steps == 1
    query = backbone.query([pictures[0]], [ASKED], ["a lynx"])
    found = gradients(TargetPass(backbone, query, 2), {}, network.sizes)
    values = {name: tensors[0] for name, tensors in model.store.pool().take(None).items()}
    stored = factors_of(values, method.paths, torch.device("cpu"))
    literal = {}
    for number, path in enumerate(method.paths):
        name, module = network.place[path]
        inputs, outputs = network.transforms[name](found[path], module)
        tokens = len(inputs)
        assert tokens == int(query.spans.predicts.sum())
        rate = network.log_rate[number].exp()
        literal[path] = (
            -0.5 * rate / tokens * sum(torch.outer(outputs[at], inputs[at]) for at in range(tokens))
        )
        torch.testing.assert_close(stored[path].dense, literal[path], atol=1e-4, rtol=1e-2)
    # and the model answers as if its weights had been changed so
    asked = Questions(pictures=[pictures[1]], prompts=[OTHER])
    with method.apply(asked, model.store.pool()) as query:
        edited = backbone.logits(query)
    weights = {path: backbone.decoder.get_submodule(path).weight for path in method.paths}
    before = {path: weight.detach().clone() for path, weight in weights.items()}
    with torch.no_grad():
        for path, weight in weights.items():
            weight.add_(literal[path])
        changed = backbone.logits(query)
        for path, weight in weights.items():
            weight.copy_(before[path])
    torch.testing.assert_close(edited, changed, atol=5e-3, rtol=5e-3)
    assert not torch.allclose(edited, backbone.logits(query), atol=2e-2)


def test_balanced_factors_have_the_same_product() -> None:
    one = LowRank(reads=torch.randn(3, 4) * 1e3, writes=torch.randn(3, 5) * 1e-7)
    even = balanced(one)
    torch.testing.assert_close(even.dense, one.dense)
    torch.testing.assert_close(even.reads.norm(), even.writes.norm())


def kept(folder) -> KeptSteps:
    return KeptSteps(folder=folder, about={})


def test_training_learns_to_edit(backbone, examples, tmp_path) -> None:
    how = MendTraining(steps=30, learning_rate=3e-3, rate_learning_rate=0.1)
    network = new_network(backbone, SMALL, seed=0)
    trained = train(backbone, network, examples, how, kept(tmp_path))
    seen = prepare_example(backbone, examples[0], trained)
    fresh = new_network(backbone, SMALL, seed=0)
    fresh.measure([seen.gradient])
    with torch.no_grad():
        after, before = losses(trained, seen), losses(fresh, seen)
    assert after["edit"] < before["edit"] - 0.1
    assert after["locality"] > 0


def test_training_leaves_the_rest_more_as_it_was_the_more_that_weighs(
    backbone, examples, tmp_path
) -> None:
    moved = []
    for weight in (0.0, 10.0):
        how = MendTraining(
            steps=60, learning_rate=3e-3, rate_learning_rate=0.1, edit=1.0, locality=weight
        )
        network = new_network(backbone, SMALL, seed=0)
        trained = train(backbone, network, examples, how, kept(tmp_path / str(weight)))
        with torch.no_grad():
            moved.append(
                sum(
                    losses(trained, prepare_example(backbone, one, trained))["locality"]
                    for one in examples
                )
            )
    assert moved[1] < 0.5 * moved[0]


def test_a_training_that_was_stopped_goes_on(backbone, examples, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("liveedit.methods.shared.training.training_steps.EVERY", 2)
    how = MendTraining(steps=6)

    def run(folder: str):
        network = new_network(backbone, SMALL, seed=0)
        return train(backbone, network, examples, how, kept(tmp_path / folder))

    whole = run("a")

    class Stopped(Exception):
        pass

    def stop(*arguments) -> None:
        stop.calls += 1
        if stop.calls == 4:
            raise Stopped
        return losses(*arguments)

    stop.calls = 0
    with monkeypatch.context() as patched:
        patched.setattr("liveedit.methods.mend.training.losses", stop)
        with pytest.raises(Stopped):
            run("b")
    rest = run("b")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, rest.state_dict()[name]), name


def test_it_is_prepared_saved_and_loaded(backbone, examples, tmp_path) -> None:
    folder = Mend.prepare(
        backbone, tmp_path / "editor", training=lambda count: examples[:count],
        corrections=1, network=SMALL, steps=2,
    )  # fmt: skip
    one, two = Mend.load(backbone, folder), Mend.load(backbone, folder)
    assert one.identity == two.identity
    one.save(tmp_path / "again")
    assert Mend.load(backbone, tmp_path / "again").identity == one.identity
    assert one.identity != Mend(backbone, measured_network(backbone)).identity
    with pytest.raises(BackboneMismatch):
        Mend.load(tiny("llava_next"), folder)
    described = json.loads((tmp_path / "again" / "config.json").read_text())
    described["trained"]["ranks"] = 3
    (tmp_path / "again" / "config.json").write_text(json.dumps(described))
    with pytest.raises(BadCheckpoint, match=r"cannot be read .* make it with: liveedit train"):
        Mend.load(backbone, tmp_path / "again")
    (folder / "mend.safetensors").write_bytes(b"nothing")
    with pytest.raises(BadCheckpoint, match="make it with: liveedit train --method mend"):
        Mend.load(backbone, folder)


def test_what_it_needs_is_asked_for(backbone, tmp_path) -> None:
    with pytest.raises(BadCheckpoint, match="liveedit train --method mend --model"):
        Mend.load(backbone)
    with pytest.raises(BadCheckpoint, match="cannot be read"):
        Mend.load(backbone, tmp_path)
    with pytest.raises(ValueError, match="training corrections"):
        Mend.prepare(backbone, tmp_path / "editor", network=SMALL)
    with pytest.raises(ValidationError):
        Mend.prepare(backbone, tmp_path / "editor", network=SMALL, stepps=3)
    with pytest.raises(ValidationError):
        MendConfig(strength=0)
    for value in MendConfig.search_space["strength"]:
        assert MendConfig(strength=value).strength == value
