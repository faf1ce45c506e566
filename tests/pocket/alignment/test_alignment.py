"""What the alignment is trained on, and that what it learned reaches the model."""

import unicodedata
from copy import deepcopy

import numpy as np
import pytest
import torch
from PIL import Image

from liveedit.data.easy_vqa import Turn
from liveedit.data.emoji_edit.concepts import DRAWINGS, all_concepts
from liveedit.data.emoji_edit.families import FAMILIES
from liveedit.data.emoji_edit.scene import Placement, arrange
from liveedit.data.text_prompts import FIXED_PROMPTS, training_prompts
from liveedit.pocket.alignment.conversation import IGNORE, tokenise, turns_about
from liveedit.pocket.alignment.pictures import (
    TrainingPicture,
    augment,
    pixels,
    training_pictures,
)
from liveedit.pocket.alignment.styles import held_out_drawings, restyle, unnamed_drawings
from liveedit.pocket.assembly import merge_alignment


@pytest.fixture(scope="module")
def drawn_up() -> list[TrainingPicture]:
    return list(
        training_pictures(
            variations=1, unnamed=1, pairs=300, triples=200, easy_vqa_pictures=5, seed=0
        )
    )


def test_held_out_drawings_are_never_trained_on(drawn_up):
    held_out = held_out_drawings()
    trained = {
        (one.concept, one.drawing)
        for picture in drawn_up
        if picture.scene is not None
        for one in picture.scene.placements
    }
    assert not trained & held_out.items()
    every = {(concept.name, drawing) for concept in all_concepts() for drawing in DRAWINGS}
    unnamed = {(name, drawing) for name in unnamed_drawings() for drawing in DRAWINGS}
    assert trained == (every - held_out.items()) | unnamed
    assert len(held_out) >= 60
    counts = [list(held_out.values()).count(drawing) for drawing in DRAWINGS]
    assert abs(counts[0] - counts[1]) <= 1


def test_a_pictures_line_describes_it_completely(drawn_up):
    for picture in drawn_up[::50] + drawn_up[-3:]:
        assert TrainingPicture.from_json(picture.as_json()) == picture


def test_pictures_are_the_same_every_time(drawn_up):
    again = training_pictures(
        variations=1, unnamed=1, pairs=300, triples=200, easy_vqa_pictures=5, seed=0
    )
    assert list(again) == drawn_up
    assert drawn_up[0].open().tobytes() == drawn_up[0].open().tobytes()


def test_restyled_drawings_differ_and_are_the_same_every_time():
    placement = Placement(concept="dog", drawing="twemoji", x=128, y=128, size=100)
    drawn = [
        restyle(placement, random=np.random.default_rng(seed)).tobytes()
        for seed in (*range(12), *range(12))
    ]
    assert drawn[:12] == drawn[12:]
    assert len(set(drawn[:12])) == 12


def test_nothing_unnamed_is_a_concept_or_shares_a_word_with_a_held_out_one():
    assert len(unnamed_drawings()) > 500
    assert not {c.twemoji for c in all_concepts()} & set(unnamed_drawings())
    held_out = {word for name in held_out_drawings() for word in name.split()}
    for stem in unnamed_drawings():
        assert not held_out & set(unicodedata.name(chr(int(stem, 16)), "").lower().split())


def test_augmentation_keeps_the_geometry():
    picture = Image.fromarray(
        np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
    )
    augmented = [augment(picture, np.random.default_rng(seed)) for seed in range(8)]
    assert all(one.size == picture.size and one.mode == "RGB" for one in augmented)
    assert len({one.tobytes() for one in augmented}) > 1


def test_pixels_are_those_of_the_image_processor(processor, pictures):
    size = processor.image_processor.size["height"]
    expected = processor.image_processor(pictures, return_tensors="pt")["pixel_values"]
    torch.testing.assert_close(pixels(pictures, size), expected, atol=0.02, rtol=0)


def test_one_family_at_a_time_is_asked_about_a_scene_and_answered_truly():
    random = np.random.default_rng(0)
    scene = arrange(("dog", "banana"), DRAWINGS, random)
    answers = {
        text.format(thing=thing): family.truth(scene, thing)
        for family in FAMILIES
        for text in family.training
        for thing in (("dog", "banana") if family.names_thing else ("",))
    }
    evaluation = {text for family in FAMILIES for text in family.evaluation}
    for _ in range(100):
        turns = turns_about(TrainingPicture(scene=scene), 3, random)
        assert len({turn.question for turn in turns}) == 3
        for turn in turns:
            assert turn.question not in evaluation
            if turn.question in answers:  # or it is about a thing that is absent
                assert turn.answer == answers[turn.question]
            else:
                assert turn.answer == "no"


def test_conversation_is_tokenised_as_the_model_will_be_asked(backbone, processor):
    turns = (Turn(question="What is this?", answer="a dog"), Turn(question="Who?", answer="me"))
    batch = tokenise(
        [turns[:1]],
        tokenizer=processor.tokenizer,
        image_tokens=backbone.model.config.image_seq_length,
        image_token_id=processor.image_token_id,
    )
    query = backbone.query([Image.new("RGB", (8, 8))], ["What is this?"], ["a dog"])
    length = query.input_ids.shape[1]
    assert torch.equal(batch.input_ids[0, :length], query.input_ids[0])
    assert torch.equal((batch.labels != IGNORE)[0, :length], query.spans.target[0])

    batch = tokenise([turns[:1], turns], tokenizer=processor.tokenizer)
    assert (batch.labels[0, batch.attention_mask[0].sum() :] == IGNORE).all()
    messages = [
        {"role": role, "content": text}
        for turn in turns
        for role, text in (("user", turn.question), ("assistant", turn.answer))
    ]
    whole = processor.apply_chat_template(messages)
    real = batch.attention_mask[1]
    assert processor.tokenizer.decode(batch.input_ids[1][real]) == whole
    answers = batch.labels[1][batch.labels[1] != IGNORE]
    assert processor.tokenizer.decode(answers) == "a dog<|im_end|>me<|im_end|>"


def test_fixed_prompts_are_a_hundred_and_never_trained_on():
    assert len(set(FIXED_PROMPTS)) == len(FIXED_PROMPTS) == 100
    assert len(set(training_prompts())) == len(training_prompts()) > 500

    def bare(prompts: tuple[str, ...]) -> set[str]:
        return {prompt.casefold().rstrip("?.! ") for prompt in prompts}

    assert not bare(FIXED_PROMPTS) & bare(training_prompts())


@torch.no_grad()
def test_exported_weights_do_in_a_fresh_model_what_they_did_in_training(
    tiny_model, backbone, pictures
):
    train = pytest.importorskip("liveedit.pocket.alignment.language_stage", exc_type=ImportError)
    aligned, fresh = deepcopy(tiny_model), deepcopy(tiny_model)
    trained = train.prepare(aligned, rank=3)
    torch.manual_seed(0)
    for name, parameter in trained.items():
        change = 0.05 * torch.randn_like(parameter)
        # what bfloat16 can hold, so that exporting loses nothing
        parameter.copy_(
            (parameter + change).bfloat16() if ".lora_" not in name else change.bfloat16()
        )
    merge_alignment(fresh, train.export(trained))
    query = backbone.query([pictures[0]], ["What is this?"])
    pixel_values = backbone.processor.image_processor(pictures[:1], return_tensors="pt")[
        "pixel_values"
    ]
    inputs = {"input_ids": query.input_ids, "pixel_values": pixel_values}
    found, expected = fresh(**inputs).logits, aligned.float()(**inputs).logits
    assert not torch.allclose(tiny_model(**inputs).logits, expected, atol=0.5)
    torch.testing.assert_close(found, expected, atol=0.1, rtol=0.05)
