"""What is told about a server: probes, figures, ids, the log, traces."""

import json
import logging
import re
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families

from liveedit.serve.app import create_app
from liveedit.serve.config import ServeConfig
from liveedit.serve.keys import KeyFile
from liveedit.serve.logs import JsonLines
from tests.serve.conftest import asked, url_of
from tests.serve.test_access import bearer

ROOT = Path(__file__).parents[2]
ASKED = "What is this?"
SECRET = "the colour of the moon"


def figures(client: TestClient, **headers) -> dict[str, float]:
    """What Prometheus reads, by name and labels."""
    found = client.get("/metrics", **headers)
    assert found.status_code == 200
    return {
        "".join([one.name, *(f" {key}={value}" for key, value in sorted(one.labels.items()))]):
        one.value
        for family in text_string_to_metric_families(found.text) for one in family.samples
    }  # fmt: skip


def test_figures_follow_what_is_done(client, pictures) -> None:
    before = figures(client)
    assert before["liveedit_edits_in_force"] == 0
    edit = {"prompt": ASKED, "images": [url_of(pictures[0])], "target": "a violet"}
    client.post("/v1/edits:preview", json=edit)
    made = client.post("/v1/edits", json=edit).json()
    ask = {"messages": asked(ASKED, pictures[0]), "max_tokens": 8}
    for _ in range(2):
        client.post("/v1/chat/completions", json=ask)
    client.post("/v1/chat/completions", json=ask | {"edits": False})
    client.delete(f"/v1/edits/{made['id']}")
    client.delete(f"/v1/edits/{made['id']}")
    client.post("/v1/chat/completions", json=ask | {"n": 99})
    after = figures(client)
    assert after["liveedit_edits_in_force"] == 0
    assert after["liveedit_revision"] == 2
    assert after["liveedit_fired_total"] == 2
    assert after["liveedit_answers_total edited=yes finish=stop"] == 2
    assert sum(v for k, v in after.items() if k.startswith("liveedit_answers_total")) == 3
    assert after["liveedit_edits_total change=add outcome=done"] == 1
    assert after["liveedit_edits_total change=preview outcome=done"] == 1
    assert after["liveedit_edits_total change=revoke outcome=done"] == 1
    assert after["liveedit_edits_total change=revoke outcome=failed"] == 1
    assert after["liveedit_refused_total code=unknown_edit status=404"] == 1
    for name in ("queue", "prefill", "decode"):
        assert after[f"liveedit_{name}_seconds_count"] == 3
        assert after[f"liveedit_{name}_seconds_sum"] > 0
    assert after["liveedit_edit_seconds_sum change=add"] > 0
    route = "liveedit_requests_total method=POST route=/v1/chat/completions status="
    assert (after[f"{route}200"], after[f"{route}400"]) == (3, 1)
    tokens = "liveedit_tokens_total kind="
    assert after[f"{tokens}prompt"] > after[f"{tokens}completion"] > 0
    assert after["process_resident_memory_bytes"] > 1e6


def test_figures_need_a_key_for_just_that(model, tmp_path) -> None:
    file = KeyFile(tmp_path / "keys.json")
    tokens = {scope: file.add(scope, [scope], ["*"]) for scope in ("ask", "edit", "metrics")}
    app = create_app(model, keys=tmp_path / "keys.json")
    with TestClient(app, base_url="http://localhost") as client:
        assert client.get("/metrics").status_code == 401
        for scope in ("ask", "edit"):
            assert client.get("/metrics", headers=bearer(tokens[scope])).status_code == 403
        assert figures(client, headers=bearer(tokens["metrics"]))["liveedit_revision"] == 0
        assert client.get("/v1/models", headers=bearer(tokens["metrics"])).status_code == 403


def test_unknown_addresses_make_no_figures_of_their_own(client) -> None:
    for at in range(20):
        client.get(f"/secret/{at}")
    assert sum("route" in name and "secret" in name for name in figures(client)) == 0
    assert figures(client)["liveedit_requests_total method=- route=- status=404"] == 20


def test_probes(client, model) -> None:
    assert client.get("/health").json()["status"] == "ok"
    assert client.get("/ready").json()["status"] == "ok"
    batcher = client.app.state.server.batcher
    batcher.close(seconds=10)
    assert client.get("/ready").status_code == 503
    assert client.get("/health").status_code == 503, "the thread that answers has ended"


def test_a_server_whose_store_is_gone_is_not_ready(client, model, tmp_path) -> None:
    with closing(sqlite3.connect(tmp_path / "edits.db")) as other, other:
        other.execute("DROP TABLE revisions")
    found = client.get("/ready")
    assert (found.status_code, found.json()["status"]) == (503, "the store does not answer")
    assert client.get("/health").status_code == 200


def test_each_request_has_an_id(client) -> None:
    given = client.get("/health", headers={"X-Request-ID": "order-66"})
    assert given.headers["x-request-id"] == "order-66"
    made = [client.get(path).headers["x-request-id"] for path in ("/health", "/v1/none", "/health")]
    assert len(set(made)) == 3
    for bad in (b"x" * 65, b"a b", "é".encode(), b'"><script>'):
        found = client.get("/health", headers={b"X-Request-ID": bad})
        assert found.headers["x-request-id"].isalnum()
        assert len(found.headers["x-request-id"]) == 16


def lines(caplog) -> list[dict]:
    return [json.loads(JsonLines().format(one)) for one in caplog.records]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("told", [False, True])
def test_the_log_says_what_was_done_and_what_was_asked_only_if_told_to(
    model, tmp_path, pictures, caplog, stream, told
) -> None:
    file = KeyFile(tmp_path / "keys.json")
    token = file.add("alice", ["edit"], ["shop"])
    config = ServeConfig(max_tokens=8, log_prompts=told)
    app = create_app(model, keys=tmp_path / "keys.json", config=config)
    caplog.set_level(logging.INFO, "liveedit")
    with TestClient(app, base_url="http://localhost") as client:
        client.headers.update(bearer(token))
        edit = {"prompt": SECRET, "target": "a violet", "images": [url_of(pictures[0])]}
        made = client.post("/v1/edits", json=edit).json()
        ask = {"messages": asked(SECRET, pictures[0]), "max_tokens": 8, "stream": stream}
        client.post("/v1/chat/completions", json=ask, headers={"X-Request-ID": "order-66"})
        client.post(
            "/page/ask", data={"question": SECRET, "namespace": "shop"},
            files={"picture": ("a.png", b"no picture", "image/png")},
        )  # fmt: skip
        client.get("/v1/models", headers=bearer("le-wrong"))
    rows = [one for one in lines(caplog) if one["message"] == "request"]
    assert [one["status"] for one in rows] == [201, 200, 400, 401]
    answer = rows[1]
    assert (answer["id"], answer["key"], answer["namespace"]) == ("order-66", "alice", "shop")
    assert answer["fired"] == [made["id"]]
    assert answer["revision"] == 1
    assert answer["ms"] >= answer["prefill_ms"] > 0
    assert (rows[3]["refused"], rows[3].get("key")) == ("no_key", None)
    assert answer.get("prompt") == (SECRET if told else None)
    assert answer.get("answers") == (["a violet"] if told else None)
    whole = json.dumps(lines(caplog))
    assert told == (SECRET in whole)
    assert token not in whole
    assert "base64" not in whole


def test_what_fails_is_logged_without_what_it_says(client, model, monkeypatch, caplog) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(f"cannot {SECRET}")

    monkeypatch.setattr(type(model.store), "revision", property(broken))
    found = client.post("/v1/chat/completions", json={"messages": asked(SECRET)})
    assert found.status_code == 500
    assert SECRET not in found.text
    assert found.headers["x-request-id"]
    rows = lines(caplog)
    assert rows[0]["exception"] == "RuntimeError"
    assert rows[0]["id"] == found.headers["x-request-id"]
    assert SECRET not in json.dumps(rows)
    whole = json.loads(JsonLines(whole=True).format(caplog.records[0]))
    assert whole["exception"] == f"RuntimeError: cannot {SECRET}"


@pytest.fixture
def spans():
    """What is recorded; a provider can be set once a process, and stays."""
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        provider = TracerProvider()
        trace.set_tracer_provider(provider)
    exporter = InMemorySpanExporter()
    processor = SimpleSpanProcessor(exporter)
    provider.add_span_processor(processor)
    yield exporter
    exporter.shutdown()


def test_an_answer_is_traced(client, model, pictures, spans) -> None:
    model.edit(pictures[0], ASKED, "a violet")
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    client.post(
        "/v1/chat/completions", json={"messages": asked(ASKED, pictures[0]), "max_tokens": 8},
        headers={"traceparent": parent},
    )  # fmt: skip
    wanted, last = {"liveedit.queue", "liveedit.prefill", "liveedit.decode"}, time.monotonic() + 10
    found = {one.name: one for one in spans.get_finished_spans()}
    while not wanted <= found.keys() and time.monotonic() < last:  # recorded behind the answer
        time.sleep(0.05)
        found = {one.name: one for one in spans.get_finished_spans()}
    assert wanted <= found.keys()
    assert {f"{one.context.trace_id:032x}" for one in found.values()} == {parent[3:35]}
    queue, prefill, decode = (found[f"liveedit.{x}"] for x in ("queue", "prefill", "decode"))
    assert queue.start_time <= queue.end_time <= prefill.end_time <= decode.end_time
    assert prefill.attributes["liveedit.fired"] == tuple(edit.id for edit in model.edits)
    assert ASKED not in "".join(one.to_json() for one in found.values())


def test_the_dashboard_shows_figures_that_there_are(client, model, pictures) -> None:
    edit = {"prompt": ASKED, "images": [url_of(pictures[0])], "target": "a violet"}
    client.post("/v1/edits", json=edit)
    client.post("/v1/chat/completions", json={"messages": asked(ASKED), "max_tokens": 4})
    client.get("/v1/none")
    told = figures(client)
    names = {name.partition(" ")[0] for name in told}
    labels = {part.partition("=")[0] for name in told for part in name.split(" ")[1:]}
    board = json.loads((ROOT / "configs" / "serving" / "grafana.json").read_text())
    queries = [one["expr"] for panel in board["panels"] for one in panel["targets"]]
    assert len(queries) > 15
    for query in queries:
        used = set(re.findall(r"\b(?:liveedit|process)_\w+", query))
        assert used
        assert used <= names, query
        by = {one.strip() for group in re.findall(r"by \(([^)]*)\)", query)
              for one in group.split(",")}  # fmt: skip
        assert by <= labels, query
    assert len({json.dumps(panel["gridPos"]) for panel in board["panels"]}) == len(board["panels"])
