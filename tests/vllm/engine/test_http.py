"""``liveedit serve --engine vllm``: a vLLM that listens, a server of the project's before it."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from tests.vllm.engine.running import PYTHON, in_project, reference

_ROOT = Path(__file__).parents[3]
_TARGET = "yes, my friend"
_PATIENCE = 240  # seconds until a server is there


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def running(command, log, address):
    """A server, from when it is ready until it has ended."""
    environment = os.environ | {"PYTHONPATH": f"{_ROOT / 'src'}:{_ROOT}"}
    environment.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)
    with open(log, "w") as file:
        process = subprocess.Popen(command, env=environment, cwd=_ROOT, stdout=file, stderr=file)
    try:
        until = time.monotonic() + _PATIENCE
        while not healthy(address):
            ended = process.poll() is not None or time.monotonic() > until
            assert not ended, Path(log).read_text()[-3000:]
            time.sleep(0.5)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def healthy(address):
    try:
        return urlopen(f"{address}/health", timeout=2).status == 200
    except (URLError, OSError):
        return False


def vllm(made, store, port, *, edits=True):
    settings = made.settings | {"store": str(store)}
    more = ("--additional-config", json.dumps({"liveedit": settings})) if edits else ()
    return (
        sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model",
        str(made.folder / "model"), "--port", str(port), "--host", "127.0.0.1", "--dtype",
        "float32", "--enforce-eager", "--max-model-len", "512", "--max-num-seqs", "16", *more,
    )  # fmt: skip


def before_it(made, store, port, engine):
    return (
        PYTHON, "-m", "liveedit", "serve", "--model", str(made.folder / "model"), "--editor",
        str(made.folder / "editor"), "--store", str(store), "--dtype", "float32", "--port",
        str(port), "--engine", "vllm", "--engine-url", engine,
    )  # fmt: skip


def call(address, path, body=None, method=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = Request(f"{address}{path}", data, headers, method=method)
    try:
        with urlopen(request, timeout=120) as answer:
            return json.loads(answer.read())
    except HTTPError as error:
        return {"status": error.code, **json.loads(error.read())}


def url_of(file):
    return f"data:image/png;base64,{base64.b64encode(Path(file).read_bytes()).decode()}"


def asked(one, **more):
    parts = [{"type": "text", "text": one["question"]}]
    if one["file"]:
        parts.insert(0, {"type": "image_url", "image_url": {"url": url_of(one["file"])}})
    return {
        "messages": [{"role": "user", "content": parts}],
        "max_tokens": 12,
        "namespace": one["namespace"],
    } | more


def said(answer):
    return whole(answer["choices"][0]["message"]["content"])


def whole(text):
    """Without a character that an answer was cut off in."""
    return text.rstrip("\N{REPLACEMENT CHARACTER}").strip()


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
            "prompt": one["question"], "images": [url_of(one["file"])], "target": _TARGET,
            "namespace": one["namespace"],
        }  # fmt: skip
        written = call(address, "/v1/edits", edit)
        assert written["id"], written
        after = call(address, "/v1/chat/completions", asked(one))
        assert said(after) == _TARGET
        assert after["liveedit"]["revision"] == written["revision"]
        earlier = asked(one, revision=written["revision"] - 1)
        assert said(call(address, "/v1/chat/completions", earlier)) == texts(one["plain"])
        name = written["id"]
        assert call(address, f"/v1/edits/{name}", method="DELETE")["state"] == "revoked"
        assert said(call(address, "/v1/chat/completions", asked(one))) == texts(one["plain"])
        call(address, f"/v1/edits/{name}:restore", {"reason": "a trial"})
        assert said(call(address, "/v1/chat/completions", asked(one))) == _TARGET

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


def texts_of(made):
    """What the tokens say, by the tokenizer of the project."""
    wanted = {tuple(one[kind]) for one in made.questions for kind in ("edited", "plain")}
    code = (
        "import json, sys; from transformers import AutoProcessor; "
        "p = AutoProcessor.from_pretrained(sys.argv[1]).tokenizer; "
        "print(json.dumps([p.decode(one, skip_special_tokens=True).strip() "
        "for one in json.loads(sys.argv[2])]))"
    )
    ordered = sorted(wanted)
    done = subprocess.run(
        [PYTHON, "-c", code, str(made.folder / "model"), json.dumps(ordered)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    known = dict(zip(ordered, json.loads(done.stdout.splitlines()[-1]), strict=True))
    return lambda ids: whole(known[tuple(ids)])


def test_a_vllm_without_the_plugin_is_refused(made, tmp_path):
    engine = f"http://127.0.0.1:{free_port()}"
    command = vllm(made, made.folder / "edits.db", engine.rpartition(":")[2], edits=False)
    with (
        running(command, tmp_path / "vllm.log", engine),
        pytest.raises(AssertionError, match="answers without edits"),
    ):
        in_project(*before_it(made, tmp_path / "new.db", free_port(), engine)[2:])
