"""``liveedit serve``: answer over HTTP, and be corrected meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import partial
from importlib import import_module
from pathlib import Path

import typer

from liveedit.cli.common import DEVICE, DTYPE, EDITOR, MODEL, OF_STORE, SETTINGS, STORE, Dtype, load


class Engine(StrEnum):
    """What answers."""

    transformers = "transformers"
    vllm = "vllm"


def serve(
    model: str = MODEL,
    store: str = STORE,
    editor: Path | None = EDITOR,
    settings: Path | None = SETTINGS,
    method: str | None = OF_STORE,
    device: str = DEVICE,
    dtype: Dtype = DTYPE,
    engine: Engine = typer.Option(
        Engine.transformers,
        help="What answers; with vllm a server that runs with the plugin (docs/vllm.md), and the "
        "model here makes the edits.",
    ),
    engine_url: str = typer.Option(
        "http://127.0.0.1:8001", "--engine-url", help="Where vLLM listens."
    ),
    engine_key: str | None = typer.Option(
        None, "--engine-key", envvar="VLLM_API_KEY", help="Its API key, if it has one."
    ),
    engine_wait: float = typer.Option(
        600.0, "--engine-wait", min=0.0, help="Seconds that it may take until it is there."
    ),
    host: str = typer.Option("127.0.0.1", help="Address to listen at; 0.0.0.0 for all."),
    port: int = typer.Option(8000, min=0, max=65535, help="Port."),
    keys: Path | None = typer.Option(
        None, "--keys", help="File of API keys (liveedit keys); needed beyond this machine."
    ),
    reviews: Path | None = typer.Option(
        None, "--reviews", help="File of the answers that users mark as wrong; else in memory."
    ),
    host_name: list[str] = typer.Option(
        [], "--host-name", help="Name that the server is called by; may be given several times."
    ),
    batch: int = typer.Option(16, min=1, help="Answers that are decoded together."),
    waiting: int = typer.Option(256, min=1, help="Requests that may wait."),
    seconds: float = typer.Option(120.0, min=1.0, help="Longest time for a request."),
    image_host: list[str] = typer.Option(
        [], "--image-host", help="Host that pictures may be fetched from (https, or http://HOST)."
    ),
    private_image_hosts: bool = typer.Option(
        False, "--private-image-hosts", help="Those hosts may be at private addresses."
    ),
    log_prompts: bool = typer.Option(
        False, "--log-prompts", help="Write what is asked and answered into the log, too."
    ),
    telemetry: bool = typer.Option(
        False, "--telemetry", help="Send OpenTelemetry's traces to where OTEL_* variables say."
    ),
) -> None:
    """Serve OpenAI's chat interface and /v1/edits: an edit holds from the next request on."""
    local = host in ("127.0.0.1", "::1", "localhost")
    if not local and keys is None:
        raise typer.BadParameter(
            f"whoever reaches {host} could correct the model; give --keys, or listen at 127.0.0.1",
            param_hint="--keys",
        )
    _require("fastapi", "httpcore", "limits", "prometheus_client", "python_multipart", "uvicorn")
    import uvicorn

    from liveedit.serve.app import create_app
    from liveedit.serve.config import ServeConfig
    from liveedit.serve.fetching import ImageHosts
    from liveedit.serve.logs import log_to_stderr

    if telemetry:
        _require("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http", extra="telemetry")
    if engine is Engine.vllm:
        _require("openai", extra="vllm")
    # In a thread that ends: OpenMP keeps workers for each thread that has computed; where there are
    # more of them than cores, those of the thread that answers wait a fifth longer for each other.
    with ThreadPoolExecutor(1) as loading:
        edited = loading.submit(
            load, model, editor, store, method=method, settings=settings, device=device, dtype=dtype
        ).result()
    config = ServeConfig(batch=batch, waiting=waiting, seconds=seconds, log_prompts=log_prompts)
    beside = None
    if engine is Engine.vllm:
        from liveedit.serve.vllm_engine import VllmEngine

        beside = partial(
            VllmEngine, engine_url, model=edited, config=config, key=engine_key, wait=engine_wait
        )
    app = create_app(
        edited, names=[model], keys=keys, reviews=reviews, hosts=host_name, config=config,
        image_hosts=ImageHosts(image_host, private=private_image_hosts) if image_host else None,
        beside=beside, telemetry=telemetry,
    )  # fmt: skip
    log_to_stderr(whole=log_prompts)
    uvicorn.run(
        app, host=host, port=port, access_log=False, server_header=False,
        timeout_graceful_shutdown=int(seconds), log_config=None,
    )  # fmt: skip


def _require(*modules: str, extra: str = "serve") -> None:
    """Say what to install before anything is loaded.

    Raises:
        MissingExtra: One of the modules is not there.
    """
    from liveedit.errors import MissingExtra

    for name in modules:
        try:
            import_module(name)
        except ImportError as error:
            raise MissingExtra(str(error.name or name), extra=extra) from None
