"""Edits in conversations: the last question and the pictures decide."""

import pytest
import torch

from liveedit.errors import BadConversation, ControlTokenInText

ASKED = "What is this?"


def conversation(picture, question: str = ASKED) -> list[dict]:
    """A system prompt and two earlier turns, the first about the picture."""
    return [
        {"role": "system", "content": "Answer in a few words."},
        {
            "role": "user",
            "content": [
                {"type": "image", "image": picture},
                {"type": "text", "text": "Is it big?"},
            ],
        },
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Why do you think so?"},
        {"role": "assistant", "content": "It fills the picture."},
        {"role": "user", "content": question},
    ]


def test_an_edit_is_felt_in_a_conversation_and_gone_with_its_revocation(model, pictures) -> None:
    talk = conversation(pictures[0])
    before = model.chat(talk, max_new_tokens=5)
    made = model.edit(pictures[0], ASKED, "a violet")
    assert model.chat(talk, max_new_tokens=5) != before
    with model.disabled():
        assert model.chat(talk, max_new_tokens=5) == before
    model.revoke(made.id)
    assert model.chat(talk, max_new_tokens=5) == before


def test_the_prompt_is_what_the_chat_template_makes(model, pictures) -> None:
    from liveedit.editor.inputs import open_conversations

    asked = open_conversations([conversation(pictures[0])])
    query = model.backbone.query(asked.pictures, asked.prompts, histories=asked.histories)
    text = model.backbone.tokenizer.decode(query.input_ids[0])
    for part in ("Answer in a few words.", "Is it big?", "Yes.", "It fills the picture.", ASKED):
        assert part in text
    assert text.index("Is it big?") < text.index(ASKED)
    assert int(query.spans.vision.sum()) == len(query.features[0])
    assert text.index("<image>") < text.index("Is it big?")


def test_a_plain_question_in_a_conversation_is_the_plain_question(model, pictures) -> None:
    model.edit(pictures[0], ASKED, "a violet")
    parts = [{"type": "image", "image": pictures[0]}, {"type": "text", "text": ASKED}]
    talk = [{"role": "user", "content": parts}]
    assert model.chat(talk) == model.generate(pictures[0], ASKED) == "a violet"
    assert model.chat([talk, talk]) == ["a violet"] * 2


def test_a_batch_of_conversations_answers_as_each_alone(model, pictures) -> None:
    model.edit(pictures[0], ASKED, "a violet")
    talks = [conversation(pictures[0]), conversation(pictures[1], "Where?"), [{
        "role": "user", "content": "Who are you?",
    }]]  # fmt: skip
    together = model.chat(talks, max_new_tokens=5)
    assert together == [model.chat(talk, max_new_tokens=5) for talk in talks]


def test_the_last_answer_of_a_conversation_is_corrected(model, pictures) -> None:
    talk = [*conversation(pictures[0]), {"role": "assistant", "content": "No idea."}]
    made = model.edit(messages=talk, target="a violet")
    assert (made.edit.prompt, made.edit.target) == (ASKED, "a violet")
    assert model.generate(pictures[0], ASKED) == "a violet"
    again = model.edit(messages=talk[:-1], target="a violet", preview=True)
    assert again.edit.digest == made.edit.digest


def test_what_cannot_be_corrected_or_asked_is_told(model, pictures) -> None:
    two = conversation(pictures[0])
    two[-1]["content"] = [
        {"type": "image", "image": pictures[1]}, {"type": "text", "text": ASKED}
    ]  # fmt: skip
    with pytest.raises(TypeError, match="either a prompt or messages"):
        model.edit(pictures[0], ASKED, "a violet", messages=two)
    with pytest.raises(TypeError, match="into a message"):
        model.edit(pictures[0], messages=two, target="a violet")
    with pytest.raises(TypeError, match="give a target"):
        model.edit(pictures[0], ASKED)
    with pytest.raises(BadConversation, match="is empty"):
        model.chat([])
    worse = conversation(pictures[0])
    worse[1]["content"] = "What is <image>?"
    with pytest.raises(ControlTokenInText):
        model.chat(worse)
    assert model.edits == ()


def test_a_correction_is_about_all_pictures_of_its_conversation(model, pictures) -> None:
    talk = [
        {"role": "user", "content": [{"type": "image", "image": pictures[0]}]},
        {"role": "assistant", "content": "I see it."},
        {
            "role": "user",
            "content": [
                {"type": "image", "image": pictures[1]},
                {"type": "text", "text": "Which is larger?"},
            ],
        },
    ]
    made = model.edit(messages=talk, target="in Rome")
    assert made.reached
    plain = model.generate([pictures[:2]], ["Which is larger?"], max_new_tokens=8)
    assert plain == ["in Rome"]


def test_without_a_concern_a_conversation_is_bit_identical(model, pictures) -> None:
    from liveedit.editor.inputs import open_conversations

    asked = open_conversations([conversation(pictures[0])])
    query = model.backbone.query(asked.pictures, asked.prompts, histories=asked.histories)
    with torch.no_grad():
        base = model.backbone.logits(query)
        model.edit(None, ASKED, "a violet")
        with model.method.apply(asked, model.store.pool()) as edited:
            assert torch.equal(model.backbone.logits(edited), base)


@pytest.mark.parametrize("family", ["blip-2", "paligemma"])
def test_a_model_of_single_questions_says_so(family: str) -> None:
    from tests.backbones.families import tiny

    backbone = tiny(family)
    with pytest.raises(BadConversation, match="single question"):
        backbone.conversation_text([{"role": "system", "content": []}], ASKED, images=0)


@pytest.mark.parametrize(
    "family", ["llava", "llava_next", "minigpt4", "qwen2_5_vl", "smolvlm", "internvl", "gemma3"]
)
def test_every_family_with_a_chat_format_takes_earlier_turns(family: str, pictures) -> None:
    from liveedit.editor.inputs import open_conversations
    from tests.backbones.families import tiny

    backbone = tiny(family)
    talk = conversation(pictures[0])[1:]
    asked = open_conversations([talk])
    query = backbone.query(asked.pictures, asked.prompts, histories=asked.histories)
    assert int(query.spans.vision.sum()) == len(query.features[0])
    assert backbone.generate(query, max_new_tokens=2) is not None
