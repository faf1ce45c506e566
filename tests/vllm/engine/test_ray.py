"""Ray Serve's LLM deployment by ``configs/serving/vllm/ray.yaml``, and a server before it."""

import os
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from tests.vllm.engine.running import reference
from tests.vllm.engine.servers import (
    ROOT,
    TARGET,
    asked,
    before_it,
    call,
    free_port,
    running,
    said,
    texts_of,
    url_of,
)

pytest.importorskip("ray", reason="no Ray here: pip install 'ray[serve]' jsonref pyarrow")
CONFIG = ROOT / "configs" / "serving" / "vllm" / "ray.yaml"
PAGE = "/v1/chat/completions"


def configured(made, store, port):
    """The project's own file, for a tiny model on a CPU."""
    config = yaml.safe_load(CONFIG.read_text())
    config["http_options"]["port"] = port
    args = config["applications"][0]["args"]
    (llm,) = args["llm_configs"]
    llm["model_loading_config"]["model_source"] = str(made.folder / "model")
    llm["placement_group_config"] = {"bundles": [{"CPU": 0.25}]}
    assert llm["deployment_config"]["num_replicas"] == 2
    llm["deployment_config"]["ray_actor_options"] = {"num_cpus": 0.1}
    args["ingress_deployment_config"] = {"num_replicas": 1, "ray_actor_options": {"num_cpus": 0.1}}
    llm["engine_kwargs"] |= {"max_model_len": 512, "max_num_seqs": 16, "dtype": "float32"}
    own = llm["engine_kwargs"]["additional_config"]["liveedit"]
    assert own.keys() == made.settings.keys()
    own.update(made.settings | {"store": str(store)})
    return yaml.safe_dump(config)


def replicas():
    """Processes of this user that are replicas of Ray's deployment."""
    found = subprocess.run(
        ["pgrep", "-f", "ServeReplica:vlm:LLMServer"], capture_output=True, text=True, check=False
    )
    return [int(one) for one in found.stdout.split()]


def test_replicas_answer_with_edits_and_one_dies(tmp_path):
    made = reference("llava")
    texts = texts_of(made)
    store = tmp_path / "edits.db"
    shutil.copy(made.folder / "edits.db", store)
    ports = free_port(), free_port()
    engine, address = (f"http://127.0.0.1:{port}" for port in ports)
    file = tmp_path / "ray.yaml"
    file.write_text(configured(made, store, ports[0]))
    serve = str(Path(sys.executable).parent / "serve")
    with ExitStack() as stack:
        log = tmp_path / "ray.log"
        command = (serve, "run", str(file))
        stack.enter_context(running(command, log, engine, page="/v1/models"))
        command = before_it(made, store, ports[1], engine)
        stack.enter_context(running(command, tmp_path / "serve.log", address))
        assert call(address, "/ready")["status"] == "ok"

        some = made.of("edit", changed=True)[:6] + made.of("elsewhere", changed=False)[:6]
        for one in some:
            assert said(call(address, PAGE, asked(one))) == texts(one["edited"])

        one = made.of("elsewhere", changed=False)[0]
        edit = {"prompt": one["question"], "images": [url_of(one["file"])], "target": TARGET}
        written = call(address, "/v1/edits", edit | {"namespace": one["namespace"]})
        assert written["id"], written
        for _ in range(6):  # whichever replica it is
            assert said(call(address, PAGE, asked(one))) == TARGET
        refused = call(address, PAGE, asked(one, namespace="elsewhere"))
        assert refused["status"] == 400, refused

        first, *_ = replicas()
        os.kill(first, signal.SIGKILL)
        for _ in range(12):
            assert said(call(address, PAGE, asked(one))) == TARGET
