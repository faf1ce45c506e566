"""Servers as their users start them: vLLM that listens, and the project's before it."""

import base64
import json
import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tests.vllm.engine.running import PYTHON

ROOT = Path(__file__).parents[3]
TARGET = "yes, my friend"
_PATIENCE = 240  # seconds until a server is there


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def running(command, log, address, page="/health"):
    """A server, from when it is ready until it has ended."""
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    environment.pop("VLLM_ENABLE_V1_MULTIPROCESSING", None)
    environment["RAY_USAGE_STATS_ENABLED"] = "0"
    with open(log, "w") as file:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=file, stderr=file)
    try:
        until = time.monotonic() + _PATIENCE
        while not healthy(address, page):
            ended = process.poll() is not None or time.monotonic() > until
            assert not ended, Path(log).read_text()[-3000:]
            time.sleep(0.5)
        yield process
    finally:
        process.terminate()
        process.wait(60)


def healthy(address, page="/health"):
    try:
        return urlopen(f"{address}{page}", timeout=2).status == 200
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
