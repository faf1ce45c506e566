"""What every family promises, on tiny random models of transformers' own classes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from threading import Thread

import pytest
import torch
from PIL import Image
from torch import Tensor
from transformers import DynamicCache, TextIteratorStreamer

from liveedit.backbones.base import Backbone
from liveedit.backbones.blip2 import Blip2Backbone
from liveedit.backbones.qwen_vl import Qwen3VLBackbone
from liveedit.backbones.registry import backbone_class, load_backbone
from liveedit.editor import EditedModel
from liveedit.errors import BadImage, ControlTokenInText, UnsupportedGeneration
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale
from liveedit.methods.liveedit.residual import edited_layer
from liveedit.methods.liveedit.selection import choose_experts
from tests.backbones.families import EDIT_LAYER, FAMILIES, LAYERS, Family, tiny

QUESTIONS = ["What is this?", "Who are you, my friend?", "Where was it made?"]
TARGETS = ["a red dog", "yes", "in Rome"]
PICTURE = Image.radial_gradient("L").convert("RGB").resize((56, 56))
LENGTH = {"max_new_tokens": 6, "min_new_tokens": 6}


@pytest.fixture(scope="module")
def images(pictures: list[Image.Image]) -> list[Image.Image | None]:
    """Of three shapes, so that the number of image tokens varies where it can."""
    sizes = [(60, 40), (40, 90), (50, 50)]
    first, second, _ = (one.resize(size) for one, size in zip(pictures, sizes, strict=True))
    return [first, None, second]


@pytest.fixture(params=list(FAMILIES))
def family(request: pytest.FixtureRequest) -> Family:
    return FAMILIES[request.param]


@pytest.fixture
def backbone(family: Family) -> Backbone:
    return tiny(family.name)


@cache
def edited(family: str) -> EditedModel:
    """An untrained editor that lets every expert through and makes it felt, shared: no edits."""
    backbone = tiny(family)
    torch.manual_seed(1)
    network = EditorNetwork(EditorConfig(width=16, heads=2, rank=4, dropout=0.0), backbone.width)
    query = backbone.query([None, PICTURE], QUESTIONS[:2])
    states = backbone.states(query)
    network.set_scale(measure_scale(states[query.attention_mask.bool()]))
    network.router.margin.fill_(-100)
    network.router.prompt_bias.data.fill_(5)
    network.router.text_bias.data.fill_(5)
    network.generator.v_gain.data.fill_(20)
    return EditedModel(LiveEdit(backbone, network))


@pytest.fixture
def model(family: Family, images: list[Image.Image | None]) -> EditedModel:
    """With one edit."""
    model = edited(family.name)
    if not model.edits:
        model.edit(images[0], QUESTIONS[0], TARGETS[0])
    return model


def processed(family: Family, backbone: Backbone, pictures: list[Image.Image], question: str):
    """What the family's own processor makes of a question about pictures."""
    processor = backbone.processor
    if family.prompt is None:
        content = [{"type": "image", "image": one} for one in pictures]
        content.append({"type": "text", "text": question})
        return processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
        )  # fmt: skip
    text = family.prompt.format(question)
    if family.name != "minigpt4":
        return processor(images=pictures, text=[text], return_tensors="pt")
    # MiniGPT-4's picture stands inside the prompt, where BLIP-2's processor puts none
    made = processor.image_processor(pictures, return_tensors="pt")
    text = text.replace("<image>", "<image>" * processor.num_query_tokens)
    return made | processor.tokenizer([text], add_special_tokens=False, return_tensors="pt")


def sees(spans: Tensor, ids: Tensor, backbone: Backbone) -> str:
    return backbone.tokenizer.decode(ids[spans])


def test_prompt_and_spans_are_the_processors_own(family, backbone, images):
    query = backbone.query(images[:1], QUESTIONS[:1], TARGETS[:1])
    ids, spans = query.input_ids[0], query.spans
    own = processed(family, backbone, images[:1], QUESTIONS[0])["input_ids"][0]
    prompt = len(ids) - int(spans.target.sum())
    assert torch.equal(ids[:prompt], own)
    assert torch.equal(spans.vision[0, :prompt], own == backbone.model.config.image_token_id)
    assert spans.vision.any()
    assert len(query.features[0]) == spans.vision.sum()
    target = sees(spans.target[0], ids, backbone)
    assert target.strip() == TARGETS[0] + backbone.end_of_answer
    asked = sees(spans.prompt[0], ids, backbone)
    assert QUESTIONS[0] in asked
    assert not (spans.prompt & spans.vision).any()


@torch.no_grad()
def test_features_say_what_pixels_say(family, backbone, images):
    query = backbone.query(images[2:], QUESTIONS[2:])
    inputs = processed(family, backbone, images[2:], QUESTIONS[2])
    torch.testing.assert_close(backbone.logits(query), backbone.model(**inputs).logits)
    found = backbone.generated_ids(query, {"do_sample": False, **LENGTH})
    assert torch.equal(found, backbone.model.generate(**inputs, do_sample=False, **LENGTH))


@torch.no_grad()
@pytest.mark.parametrize("edit_layer", [2, LAYERS - 1])
@pytest.mark.parametrize("side", ["left", "right"])
def test_finished_states_give_the_models_own_logits(backbone, images, edit_layer, side):
    moved = type(backbone)(backbone.model, backbone.processor, edit_layer=edit_layer, name="moved")
    query = moved.query(images, QUESTIONS, TARGETS, padding_side=side)
    finished = moved.finish(
        moved.states(query), query.attention_mask, query.spans.predicts, query.per_token
    )
    torch.testing.assert_close(finished, moved.logits(query)[query.spans.predicts])


@torch.no_grad()
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_batch_gives_what_its_rows_give_alone(backbone, images, side):
    query = backbone.query(images, QUESTIONS, TARGETS, padding_side=side)
    assert (query.attention_mask == 0).any()
    states, logits = backbone.states(query), backbone.logits(query)
    for row in range(3):
        one = slice(row, row + 1)
        alone = backbone.query(images[one], QUESTIONS[one], TARGETS[one])
        real = query.attention_mask[row].bool()
        assert torch.equal(alone.input_ids[0], query.input_ids[row][real])
        for span in ("vision", "prompt", "target"):
            assert torch.equal(getattr(alone.spans, span)[0], getattr(query.spans, span)[row][real])
        torch.testing.assert_close(
            backbone.states(alone)[0], states[row][real], atol=1e-3, rtol=1e-3
        )
        torch.testing.assert_close(
            backbone.logits(alone)[0], logits[row][real], atol=1e-3, rtol=1e-3
        )


@torch.no_grad()
def test_several_pictures_in_one_prompt(backbone, images):
    first, _, second = images
    query = backbone.query([[first, second], second], QUESTIONS[:2])
    counts = query.spans.vision.sum(1)
    assert counts[0] == sum(len(one) for one in query.features[:2])
    assert counts[1] == len(query.features[2])
    swapped = backbone.query([[second, first], second], QUESTIONS[:2])
    changed = (backbone.logits(query)[:, -1] != backbone.logits(swapped)[:, -1]).any(1)
    assert changed[0]
    states = backbone.states(query)
    alone = backbone.query([[first, second]], QUESTIONS[:1])
    real = query.attention_mask[0].bool()
    torch.testing.assert_close(states[0][real], backbone.states(alone)[0], atol=1e-3, rtol=1e-3)


def test_an_edit_changes_the_answer_and_disabling_restores_it(model, images):
    """The target is reached: what was generated before is another text."""
    backbone = model.backbone
    query = backbone.query(images, QUESTIONS)
    before = backbone.logits(query)
    assert model.generate(images[0], QUESTIONS[0]) == TARGETS[0]
    with model.disabled():
        assert model.generate(images[0], QUESTIONS[0]) != TARGETS[0]
        with torch.no_grad(), model.method.applied(query, model._pool()):
            assert torch.equal(backbone.logits(query), before)
    with torch.no_grad(), model.method.applied(query, model._pool()):
        after = backbone.logits(query)
    assert not torch.equal(after[0], before[0])
    assert torch.equal(after[1], before[1]), "an edit with a picture is not felt by text alone"
    model.revoke(model.edits[0].id)
    assert not model.edits
    with torch.no_grad(), model.method.applied(query, model._pool()):
        assert torch.equal(backbone.logits(query), before)


def test_an_edited_batch_answers_as_its_rows_alone(model, images):
    together = model.generate(images, QUESTIONS, **LENGTH)
    alone = [
        model.generate(image, question, **LENGTH)
        for image, question in zip(images, QUESTIONS, strict=True)
    ]
    assert together == alone


def edited_ids(model: EditedModel, query, **options) -> Tensor:
    with torch.no_grad(), model.method.applied(query, model._pool()):
        ends = {"eos_token_id": model.backbone.ends}
        ids = model.backbone.generated_ids(query, {"do_sample": False, **ends, **LENGTH, **options})
    return ids[:, query.input_ids.shape[1] :]


def answering(backbone: Backbone, ids: Tensor) -> Backbone:
    """The backbone with these tokens as whatever target it is given."""

    class Answering(type(backbone)):  # type: ignore[misc]
        def target_ids(self, target: str, prompt: str = "") -> list[int]:
            return ids.tolist()

    return Answering(backbone.model, backbone.processor, edit_layer=EDIT_LAYER, name="answering")


@torch.no_grad()
def test_decoding_with_a_cache_says_what_the_whole_sequence_says(family, model, images):
    """Every token is the likeliest after those before it, when all of them are read at once."""
    backbone = model.backbone
    query = backbone.query(images[2:], QUESTIONS[2:])
    ids = edited_ids(model, query)
    features = model.method.features(backbone.states(query), query.spans)
    routed = choose_experts(model.method.network.router, features, model._pool())
    whole = answering(backbone, ids[0]).query(images[2:], QUESTIONS[2:], ["this"])
    with edited_layer(backbone.hook, whole.spans, model.method.network.scale, lambda _: routed):
        expected = backbone.logits(whole)[whole.spans.predicts]
    expected[:, backbone.ends] = -torch.inf  # as min_new_tokens has it
    found = expected.gather(1, ids[0][:, None])[:, 0]
    torch.testing.assert_close(found, expected.amax(1), atol=1e-3, rtol=1e-3)
    if family.name != "paligemma":  # transformers lets it see its answer in both directions then
        assert torch.equal(ids, edited_ids(model, query, use_cache=False))


def test_beams_and_sampling_keep_their_routes(model, images):
    backbone = model.backbone
    query = backbone.query(images, QUESTIONS)
    beams = edited_ids(model, query, num_beams=3, num_return_sequences=2)
    for row in range(3):
        alone = backbone.query(images[row : row + 1], QUESTIONS[row : row + 1])
        own = edited_ids(model, alone, num_beams=3, num_return_sequences=2)
        assert torch.equal(beams[2 * row : 2 * row + 2], own)
    greedy = edited_ids(model, query)
    sampled = edited_ids(model, query, do_sample=True, top_k=1, num_return_sequences=2)
    assert torch.equal(sampled, greedy.repeat_interleave(2, 0))
    with model.disabled():
        plain = edited_ids(model, query)
    assert torch.equal(plain[1], greedy[1])
    assert not torch.equal(plain[0], greedy[0])


def test_an_answer_about_several_pictures(model, images):
    first, _, second = images
    asked = [[first, second], None]
    said = model.generate(asked, QUESTIONS[:2], **LENGTH)
    assert said[0] == model.generate([first, second], QUESTIONS[0], **LENGTH)
    with model.disabled():
        assert said[0] != model.generate([first, second], QUESTIONS[0], **LENGTH)


def test_streaming(model, images):
    streamer = TextIteratorStreamer(
        model.backbone.tokenizer, skip_prompt=True, skip_special_tokens=True
    )
    thread = Thread(
        target=model.generate, args=([images[0]], QUESTIONS[:1]), kwargs={"streamer": streamer}
    )
    thread.start()
    said = "".join(streamer)
    thread.join()
    assert said.strip() == model.generate(images[0], QUESTIONS[0])


def test_what_routing_at_prefill_cannot_follow_is_refused(model, images):
    backbone = model.backbone
    cache = DynamicCache()
    cache.update(torch.zeros(1, 2, 3, 16), torch.zeros(1, 2, 3, 16), 0)
    for options in ({"prefill_chunk_size": 4}, {"past_key_values": cache}):
        with pytest.raises(UnsupportedGeneration):
            model.generate(images[0], QUESTIONS[0], **options)
    with pytest.raises(UnsupportedGeneration, match="left"):
        backbone.generate(backbone.query(images, QUESTIONS, padding_side="right"))


def test_no_text_becomes_a_picture(backbone):
    placeholder = backbone.tokenizer.convert_ids_to_tokens(backbone.image_token_id)
    for token in (backbone.marker, placeholder, backbone.end_of_answer):
        with pytest.raises(ControlTokenInText):
            backbone.query([None], [f"What is {token}?"])
        with pytest.raises(ControlTokenInText):
            backbone.query([None], QUESTIONS[:1], [token])


def test_a_saved_model_is_recognised_and_answers_the_same(family, model, images, tmp_path: Path):
    backbone = model.backbone
    model.save_pretrained(tmp_path / "edited", backbone=True)
    loaded = EditedModel.from_pretrained(tmp_path / "edited", dtype=torch.float32)
    assert type(loaded.backbone) is backbone_class(family.name)
    assert loaded.backbone.edit_layer == EDIT_LAYER
    query, again = (one.query(images, QUESTIONS, TARGETS) for one in (backbone, loaded.backbone))
    assert torch.equal(query.input_ids, again.input_ids)
    torch.testing.assert_close(loaded.backbone.logits(again), backbone.logits(query))
    assert [edit.target for edit in loaded.edits] == TARGETS[:1]
    assert loaded.generate(images, QUESTIONS, **LENGTH) == model.generate(
        images, QUESTIONS, **LENGTH
    )
    alone = load_backbone(tmp_path / "edited" / "backbone", weights=False)
    assert alone.edit_layer == type(backbone).default_edit_layer(LAYERS)
    assert alone.fingerprint()["weights"] == loaded.backbone.fingerprint()["weights"]


def test_layers_that_take_in_pictures_are_not_edited():
    backbone = tiny("qwen3_vl")
    with pytest.raises(ValueError, match="2 to 4"):
        Qwen3VLBackbone(backbone.model, backbone.processor, edit_layer=1, name="low")


@pytest.mark.parametrize("layer", [-1, LAYERS])
def test_a_layer_that_is_not_there(layer):
    backbone = tiny("blip-2")
    with pytest.raises(ValueError, match="0 to 4"):
        Blip2Backbone(backbone.model, backbone.processor, edit_layer=layer, name="none")


def test_states_alone_do_not_tell_positions(images):
    backbone = tiny("qwen2_vl")
    query = backbone.query(images, QUESTIONS, TARGETS)
    with pytest.raises(ValueError, match="position_ids"):
        backbone.finish(backbone.states(query), query.attention_mask, query.spans.predicts)


def test_a_shape_that_the_processor_refuses_is_a_bad_image():
    backbone = tiny("qwen2_5_vl")
    with pytest.raises(BadImage, match=r"refuses a picture .*2000 × 5.*another shape"):
        backbone.query([Image.new("RGB", (2000, 5))], ["What is this?"])
