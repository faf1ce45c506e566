"""The chat interface, by OpenAI's own client and types."""

import json
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from liveedit.editor import EditedModel
from tests.serve.conftest import asked, url_of

ASKED = "What is this?"


@pytest.fixture
def openai_client(client) -> openai.OpenAI:
    return openai.OpenAI(
        api_key="none", base_url="http://localhost/v1", http_client=client, max_retries=0
    )


def test_an_answer_is_the_models_own(openai_client, model, pictures) -> None:
    said = openai_client.chat.completions.create(
        model="tiny", messages=asked(ASKED, pictures[0]), max_tokens=6
    )
    own = model.generate(pictures[0], ASKED, max_new_tokens=6)
    assert said.choices[0].message.content == own
    assert said.usage.completion_tokens <= 6
    assert said.usage.prompt_tokens > 6
    assert said.system_fingerprint == "revision-0"
    assert said.choices[0].finish_reason in ("length", "stop")


def test_an_edit_holds_for_the_next_request(client, openai_client, pictures) -> None:
    made = client.post(
        "/v1/edits", json={"prompt": ASKED, "images": [url_of(pictures[0])], "target": "a violet"}
    )
    assert made.status_code == 201, made.text
    said = client.post(
        "/v1/chat/completions", json={"messages": asked(ASKED, pictures[0]), "max_tokens": 8}
    ).json()
    ChatCompletion.model_validate(said)
    assert said["choices"][0]["message"]["content"] == "a violet"
    assert said["choices"][0]["finish_reason"] == "stop"
    assert list(said["liveedit"]["fired"]) == [made.json()["id"]]
    assert said["liveedit"]["revision"] == 1
    without, before = (
        openai_client.chat.completions.create(
            model="tiny", messages=asked(ASKED, pictures[0]), max_tokens=8, extra_body=more
        )
        for more in ({"edits": False}, {"revision": 0})
    )
    assert without.choices[0].message.content == before.choices[0].message.content != "a violet"


def test_a_stream_says_what_the_whole_says(client, openai_client, model, pictures) -> None:
    model.edit(pictures[0], ASKED, "a violet, or so they say, from the Alps")
    whole = openai_client.chat.completions.create(
        model="tiny", messages=asked(ASKED, pictures[0]), max_tokens=24, n=2
    )
    events = list(
        openai_client.chat.completions.create(
            model="tiny", messages=asked(ASKED, pictures[0]), max_tokens=24, n=2, stream=True,
            stream_options={"include_usage": True},
        )
    )  # fmt: skip
    texts, ends = ["", ""], {}
    for event in events:
        ChatCompletionChunk.model_validate(event.model_dump())
        for choice in event.choices:
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
    assert {event.system_fingerprint for event in events} == {"revision-1"}
    assert texts == [choice.message.content for choice in whole.choices]
    assert texts[0] == "a violet, or so they say, from the Alps"
    assert ends == {0: "stop", 1: "stop"}
    assert events[-1].usage == whole.usage
    assert sum(bool(event.choices and event.choices[0].delta.content) for event in events) > 3
    raw = client.post(
        "/v1/chat/completions", json={"messages": asked(ASKED), "max_tokens": 2, "stream": True}
    )
    assert raw.headers["content-type"].startswith("text/event-stream")
    assert raw.text.endswith("data: [DONE]\n\n")


@pytest.mark.parametrize("stop", ["ol", ["xyz", " violet"], "a violet and"])
@pytest.mark.parametrize("stream", [False, True])
def test_stops_end_an_answer_and_are_left_out(client, model, pictures, stop, stream) -> None:
    model.edit(pictures[0], ASKED, "a violet and a rose")
    request = {
        "messages": asked(ASKED, pictures[0]), "max_tokens": 24, "stop": stop, "stream": stream
    }  # fmt: skip
    said = client.post("/v1/chat/completions", json=request)
    assert said.is_success, said.text
    if stream:
        lines = [line[6:] for line in said.text.splitlines() if line.startswith("data: {")]
        text = "".join(json.loads(one)["choices"][0]["delta"].get("content", "") for one in lines)
    else:
        text = said.json()["choices"][0]["message"]["content"]
    whole = "a violet and a rose"
    first = min(whole.find(one) for one in ([stop] if isinstance(stop, str) else stop)
                if one in whole)  # fmt: skip
    assert text == whole[:first].rstrip()


def test_log_probabilities(openai_client, model, pictures) -> None:
    model.edit(pictures[0], ASKED, "a violet")
    said = openai_client.chat.completions.create(
        model="tiny", messages=asked(ASKED, pictures[0]), max_tokens=8, logprobs=True,
        top_logprobs=3,
    )  # fmt: skip
    tokens = said.choices[0].logprobs.content
    assert len(tokens) == said.usage.completion_tokens
    for token in tokens:
        assert len(token.top_logprobs) == 3
        assert token.top_logprobs[0].token == token.token, "greedy"
        assert token.logprob == pytest.approx(token.top_logprobs[0].logprob)
        assert token.logprob <= 0


def test_a_seed_makes_a_draw_again(client) -> None:
    request = {"messages": asked("Tell me a tale."), "max_tokens": 12, "temperature": 1.5}
    drawn = [
        client.post("/v1/chat/completions", json={**request, "seed": seed}).json()["choices"][0]
        for seed in (1, 1, 2)
    ]
    texts = [one["message"]["content"] for one in drawn]
    assert texts[0] == texts[1] != texts[2]


def test_a_conversation_with_a_system_prompt_and_turns(client, model, pictures) -> None:
    model.edit(pictures[0], ASKED, "a violet")
    talk = [
        {"role": "developer", "content": "Be brief."},
        *asked("Hello", pictures[0]),
        {"role": "assistant", "content": "Hello."},
        {"role": "user", "content": ASKED},
    ]
    said = client.post("/v1/chat/completions", json={"messages": talk, "max_tokens": 8}).json()
    assert said["choices"][0]["message"]["content"] == "a violet"


def test_many_at_once_get_their_own_answers(client, model: EditedModel, pictures) -> None:
    spaces = [f"tenant {at}" for at in range(4)]
    for space in spaces:
        with model.namespace(space):
            model.edit(pictures[0], ASKED, f"it is {space}")

    def ask(at: int) -> str:
        request = {
            "messages": asked(ASKED, pictures[0]), "max_tokens": 12, "namespace": spaces[at % 4],
        }  # fmt: skip
        said = client.post("/v1/chat/completions", json=request).json()
        return said["choices"][0]["message"]["content"]

    batcher = client.app.state.server.batcher
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(ask, range(24)))
    assert answers == [f"it is {spaces[at % 4]}" for at in range(24)]
    batcher.between(lambda: None).result(60)  # behind the last batch
    assert batcher.decoded == 24
    assert batcher.batches < 24, "some were answered together"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "king", "content": "x"}]}, "role"),
        ({"messages": [{"role": "assistant", "content": "x"}]}, "ends with the assistant"),
        ({"messages": [{"role": "user", "content": "  "}]}, "asks nothing"),
        ({"messages": [{"role": "user", "content": "What is <image>?"}]}, "control token"),
        ({"n": 99}, "at most 4"),
        ({"n": 0}, "n:"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": -1}, "temperature"),
        ({"revision": 7}, "newest revision is 0"),
        ({"model": "gpt-9"}, "there is no model"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
    ],
)
def test_what_cannot_be_answered_is_told_in_openais_form(client, change, told) -> None:
    request = {"messages": asked("Who?"), "max_tokens": 4} | change
    found = client.post("/v1/chat/completions", json=request)
    assert found.status_code in (400, 404)
    error = found.json()["error"]
    assert told in f"{error['param']}: {error['message']}"
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "url", ["https://example.org/a.png", "file:///etc/passwd", "/etc/passwd", "data:text/plain,x"]
)
def test_no_address_is_fetched_and_no_file_read(client, url: str) -> None:
    talk = asked("Who?", None)
    talk[0]["content"] = [
        {"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "Who?"}
    ]  # fmt: skip
    found = client.post("/v1/chat/completions", json={"messages": talk})
    assert found.status_code == 400
    assert "data URL" in found.json()["error"]["message"]


def test_openais_client_raises_its_own_errors(openai_client) -> None:
    with pytest.raises(openai.NotFoundError):
        openai_client.chat.completions.create(model="other", messages=asked("Who?"))
    with pytest.raises(openai.BadRequestError, match="at most 4"):
        openai_client.chat.completions.create(model="tiny", messages=asked("Who?"), n=50)
    assert [one.id for one in openai_client.models.list()] == ["tiny"]
