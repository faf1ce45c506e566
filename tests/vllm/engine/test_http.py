"""``liveedit serve --engine vllm``: a vLLM that listens, a server of the project's before it."""

from contextlib import ExitStack

import pytest

from tests.vllm.engine.running import in_project, reference
from tests.vllm.engine.servers import (
    TARGET,
    asked,
    before_it,
    call,
    free_port,
    running,
    said,
    texts_of,
    url_of,
    vllm,
    whole,
)


@pytest.fixture(scope="module")
def made():
    return reference("llava")


def test_answers_from_vllm_and_edits_by_the_model_beside_it(made, tmp_path):
    store = tmp_path / "edits.db"
    store.write_bytes((made.folder / "edits.db").read_bytes())
    engine, address = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    with ExitStack() as servers:
        command = vllm(made, store, engine.rpartition(":")[2])
        servers.enter_context(running(command, tmp_path / "vllm.log", engine))
        command = before_it(made, store, address.rpartition(":")[2], engine)
        servers.enter_context(running(command, tmp_path / "serve.log", address))

        texts = texts_of(made)
        some = made.of("edit", changed=True)[:4] + made.of("elsewhere", changed=False)[:4]
        for one in some:
            assert said(call(address, "/v1/chat/completions", asked(one))) == texts(one["edited"])
            off = call(address, "/v1/chat/completions", asked(one, edits=False))
            assert said(off) == texts(one["plain"])

        one = made.of("elsewhere", changed=False)[0]
        edit = {
            "prompt": one["question"], "images": [url_of(one["file"])], "target": TARGET,
            "namespace": one["namespace"],
        }  # fmt: skip
        written = call(address, "/v1/edits", edit)
        assert written["id"], written
        after = call(address, "/v1/chat/completions", asked(one))
        assert said(after) == TARGET
        assert after["liveedit"]["revision"] == written["revision"]
        earlier = asked(one, revision=written["revision"] - 1)
        assert said(call(address, "/v1/chat/completions", earlier)) == texts(one["plain"])
        name = written["id"]
        assert call(address, f"/v1/edits/{name}", method="DELETE")["state"] == "revoked"
        assert said(call(address, "/v1/chat/completions", asked(one))) == texts(one["plain"])
        call(address, f"/v1/edits/{name}:restore", {"reason": "a trial"})
        assert said(call(address, "/v1/chat/completions", asked(one))) == TARGET

        # two choices, log-probabilities, and a namespace that vLLM was not told of
        more = {"n": 2, "logprobs": True, "top_logprobs": 2}
        both = call(address, "/v1/chat/completions", asked(some[0], **more))
        assert "choices" in both, both
        assert [whole(one["message"]["content"]) for one in both["choices"]] == [said(both)] * 2
        tokens = len(both["choices"][0]["logprobs"]["content"])
        assert both["usage"]["completion_tokens"] == 2 * tokens
        other = call(address, "/v1/chat/completions", asked(one, namespace="elsewhere"))
        assert other["status"] == 400
        assert "'elsewhere' is not served" in other["error"]["message"]


def test_a_vllm_without_the_plugin_is_refused(made, tmp_path):
    engine = f"http://127.0.0.1:{free_port()}"
    command = vllm(made, made.folder / "edits.db", engine.rpartition(":")[2], edits=False)
    with (
        running(command, tmp_path / "vllm.log", engine),
        pytest.raises(AssertionError, match="answers without edits"),
    ):
        in_project(*before_it(made, tmp_path / "new.db", free_port(), engine)[2:])
