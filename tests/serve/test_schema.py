"""The OpenAPI document, and requests that schemathesis makes of it."""

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from liveedit.serve.app import create_app
from liveedit.serve.config import ServeConfig

ROUTES = {
    ("post", "/v1/chat/completions"), ("post", "/v1/edits"), ("post", "/v1/edits:preview"),
    ("post", "/v1/edits:revoke"), ("post", "/v1/edits:restore"),
    ("get", "/v1/edits"), ("get", "/v1/edits/{edit_id}"), ("delete", "/v1/edits/{edit_id}"),
    ("post", "/v1/edits/{edit_id}:restore"), ("get", "/v1/revisions"), ("get", "/v1/export"),
    ("post", "/v1/import"), ("get", "/v1/models"), ("get", "/health"), ("get", "/ready"),
    ("get", "/metrics"),
}  # fmt: skip
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@schemathesis.serializer("application/zip")
def as_bytes(_context, value: object) -> bytes:
    """What is sent as an archive: anything but one."""
    return value if isinstance(value, bytes) else str(value).encode()


def test_the_document_has_every_route_with_what_it_answers(client) -> None:
    document = client.get("/openapi.json").json()
    found = {(how, path) for path, ways in document["paths"].items() for how in ways}
    assert found == ROUTES
    for path, ways in document["paths"].items():
        for how, told in ways.items():
            answers = told["responses"]
            assert {"400", "401", "403", "429"} <= answers.keys(), (how, path)
            good = next(answers[status] for status in ("200", "201") if status in answers)
            assert good["content"], (how, path)
    assert "HTTPValidationError" not in document["components"]["schemas"]


@pytest.mark.parametrize("route", sorted(ROUTES), ids=lambda route: f"{route[0]}-{route[1]}")
def test_whatever_is_sent_is_answered_as_the_document_says(model, route, client) -> None:
    edit = {"prompt": "Who is king?", "target": "nobody", "keep": True}
    client.post("/v1/edits", json=edit)
    app = create_app(
        model, config=ServeConfig(max_tokens=2, choices=2, requests_a_minute=1_000_000)
    )
    schema = schemathesis.openapi.from_dict(
        client.get("/openapi.json").json(), config=SchemathesisConfig()
    )
    schema.app, schema.location = app, "http://localhost/openapi.json"
    schema.config.base_url = "http://localhost"
    operation = schema[route[1]][route[0]]
    quick = route[0] == "get" or "import" in route[1] or "{" in route[1]

    @hypothesis.settings(
        max_examples=15 if quick else 8, deadline=None, database=None, derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )  # fmt: skip
    @hypothesis.given(case=operation.as_strategy())
    def run(case) -> None:
        response = case.call()
        case.validate_response(response, checks=CHECKS)

    run()
