"""The question is found in a prompt's tokens as it was asked, whatever the template."""

import pytest
from PIL import Image

from liveedit.backbones.blip2 import Blip2Backbone
from liveedit.backbones.chat import rendered
from liveedit.vllm.models import FAMILIES
from liveedit.vllm.questions import FRAMES, Frame, QuestionReader, frame_of
from tests.backbones.families import tiny

QUESTION = "What is the color of the user's mug?"
PICTURE = Image.new("RGB", (40, 30), "red")


@pytest.fixture(params=sorted(FAMILIES.values()))
def backbone(request):
    return tiny(request.param)


def reader(backbone) -> QuestionReader:
    frame = FRAMES.get(backbone.family) or frame_of(
        lambda messages: rendered(backbone.processor, messages, prompt=True)
    )
    return QuestionReader(frame, backbone.tokenizer, backbone.image_token_id)


def found(backbone, question=QUESTION, history=(), pictures=1) -> str:
    shown = [PICTURE] * pictures
    query = backbone.query([shown or None], [question], histories=[history])
    return reader(backbone).question(query.input_ids[0].tolist())


@pytest.mark.parametrize("question", [QUESTION, "first line\nlast line", " two  blanks ", "¿Qué?"])
def test_it_is_the_one_that_was_asked(backbone, question) -> None:
    assert found(backbone, question) == question.strip()
    assert found(backbone, question, pictures=0) == question.strip()


def test_of_several_pictures(backbone) -> None:
    assert found(backbone, pictures=1 if backbone.family == "blip-2" else 2) == QUESTION


def test_of_a_conversation_it_is_the_last(backbone) -> None:
    if backbone.family == "blip-2":
        pytest.skip("it knows no conversations")
    image = {"type": "image"}
    history = [
        {"role": "user", "content": [image, {"type": "text", "text": "Who is it?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "The king."}]},
    ]
    assert found(backbone, history=history) == QUESTION


def test_what_stands_before_the_picture_is_asked_too() -> None:
    backbone = tiny("qwen2_vl")
    text = "<|im_start|>user\nWhat is it?<|vision_start|><|image_pad|><|vision_end|><|im_end|>\n"
    ids = backbone.tokenizer.encode(text + "<|im_start|>assistant\n")
    assert reader(backbone).question(ids) == "What is it?"


def test_a_prompt_of_another_template_is_taken_whole() -> None:
    frame = Frame(first="USER:", later="USER:", after="ASSISTANT:")
    assert frame.question("Answer me. What is it?\n") == "Answer me. What is it?"
    assert frame.question("") == ""


def test_a_template_that_knows_no_conversations() -> None:
    def render(messages) -> str:
        (only,) = messages
        return f"Question: {only['content'][0]['text']} Answer:"

    frame = frame_of(render)
    assert frame == FRAMES["blip-2"]
    before, _, after = Blip2Backbone.prompt_format.partition("{}")
    assert (frame.first, frame.after) == (before.strip(), after.strip())


def test_without_a_template_the_prompt_is_the_question() -> None:
    def render(_messages) -> str:
        raise ValueError("there is no chat template")

    assert frame_of(render).question(" What is it? ") == "What is it?"
