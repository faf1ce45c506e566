"""The examples of how to run it: what they name is there."""

import json
import re
import shlex
from pathlib import Path

import typer
import yaml

from liveedit.cli import app
from liveedit.serve.app import create_app
from liveedit.vllm.settings import settings_of

CONFIGS = Path(__file__).parents[2] / "configs" / "serving"
OPTIONS = {
    name
    for one in typer.main.get_command(app).commands["serve"].params
    for name in (*one.opts, *one.secondary_opts)
}


def named(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words}


def test_compose_names_options_and_services_that_there_are() -> None:
    found = yaml.safe_load((CONFIGS / "compose.yaml").read_text())
    services = found["services"]
    for name in ("replica-1", "replica-2"):
        assert named(services[name]["command"]) <= OPTIONS
        assert set(services[name]["depends_on"]) <= services.keys()
        assert set(services[name]["secrets"]) <= found["secrets"].keys()
        volumes = {one.partition(":")[0] for one in services[name]["volumes"]}
        assert {one for one in volumes if one.isalpha()} <= found["volumes"].keys()
    caddy = (CONFIGS / "Caddyfile").read_text()
    assert "replica-1:8000 replica-2:8000" in caddy
    assert (CONFIGS / services["replica-1"]["build"] / "Dockerfile").is_file()


def test_compose_of_vllm_names_what_there_is() -> None:
    found = yaml.safe_load((CONFIGS / "vllm" / "compose.yaml").read_text())
    services = found["services"]
    assert named(services["edits"]["command"]) <= OPTIONS
    nginx = (CONFIGS / "vllm" / "nginx.conf").read_text()
    for name in ("vllm-1", "vllm-2"):
        assert f"server {name}:8000" in nginx
        (given,) = [one for one in services[name]["command"] if "additional" in one]
        settings = settings_of(json.loads(given.partition("=")[2]))
        assert settings is not None
        assert f"--store={settings.store}" in services["edits"]["command"]
        assert f"--editor={settings.editor}" in services["edits"]["command"]
    (port,) = re.findall(r"listen (\d+);", nginx)
    assert f"--engine-url=http://balancer:{port}" in services["edits"]["command"]
    for one in services.values():
        assert set(one.get("depends_on", ())) <= services.keys()
        assert set(one.get("secrets", ())) <= found["secrets"].keys()


def test_kubernetes_names_options_ports_and_routes_that_there_are(model) -> None:
    deployment, service, budget, ingress = yaml.safe_load_all(
        (CONFIGS / "kubernetes.yaml").read_text()
    )
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert named(container["args"]) <= OPTIONS
    paths = create_app(model).openapi()["paths"]
    ports = {one["name"] for one in container["ports"]}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["path"] in paths
        assert container[probe]["httpGet"]["port"] in ports
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for one in (service["spec"]["selector"], budget["spec"]["selector"]["matchLabels"]):
        assert one == labels
    volumes = {one["name"] for one in deployment["spec"]["template"]["spec"]["volumes"]}
    assert {one["name"] for one in container["volumeMounts"]} <= volumes
    rule = ingress["spec"]["rules"][0]
    assert f"--host-name={rule['host']}" in container["args"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend["name"] == service["metadata"]["name"]


def test_the_image_starts_the_server() -> None:
    lines = (CONFIGS / "Dockerfile").read_text().splitlines()
    (entry,) = [one for one in lines if one.startswith("ENTRYPOINT")]
    assert shlex.split(entry.partition(" ")[2].strip("[]").replace(",", " ")) == [
        "liveedit", "serve"
    ]  # fmt: skip
    assert "USER liveedit" in lines
