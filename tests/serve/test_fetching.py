"""Pictures from other hosts: only from those that are allowed, and from no inner address."""

import io
import ipaddress
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpcore
import pytest
from fastapi.testclient import TestClient

from liveedit.errors import BadImage
from liveedit.serve.app import create_app
from liveedit.serve.config import ServeConfig
from liveedit.serve.fetching import ImageHosts, may_be_asked

PICTURE = b"a picture, or so"


class Pictures(BaseHTTPRequestHandler):
    """What is at each path."""

    data = PICTURE

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self.server.asked.append((self.headers["Host"], self.path))
        if self.path == "/elsewhere":
            self.send_response(302)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}/good.png")
            self.end_headers()
            return
        self.send_response(404 if self.path == "/none" else 200)
        if self.path == "/endless":
            self.end_headers()
            for _ in range(1000):
                self.wfile.write(b"x" * 10_000)
        elif self.path == "/slow":
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.05)
        elif self.path == "/mute":
            time.sleep(2)
        else:
            self.send_header("Content-Length", str(len(self.data)))
            self.end_headers()
            self.wfile.write(self.data)


@pytest.fixture
def server():
    """A web server on this machine, and the names that lead to it."""
    found = ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    found.daemon_threads, found.asked = True, []
    found.handle_error = lambda *_: None
    threading.Thread(target=found.serve_forever, daemon=True).start()
    yield found
    found.shutdown()
    found.server_close()


@pytest.fixture
def leads(monkeypatch):
    """Makes a name lead to addresses, one after the other; tells how often it was asked for."""
    asked: list[str] = []
    known: dict[str, list[list[str]]] = {}
    real = socket.getaddrinfo

    def resolve(host, port, *args, **more):
        if host not in known:
            return real(host, port, *args, **more)
        asked.append(host)
        answers = known[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        kinds = {4: socket.AF_INET, 6: socket.AF_INET6}
        return [
            (kinds[ipaddress.ip_address(one).version], socket.SOCK_STREAM, 6, "", (one, port))
            for one in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    def add(name: str, *addresses: list[str]) -> list[str]:
        known[name] = list(addresses)
        return asked

    return add


def hosts(server, **more) -> ImageHosts:
    """The server is called images.example, and allowed by that name."""
    more = {"private": True, "seconds": 1.0, **more}
    return ImageHosts([f"http://images.example:{server.server_port}"], **more)


def url(server, path: str = "/good.png", host: str = "images.example") -> str:
    return f"http://{host}:{server.server_port}{path}"


def test_a_picture_of_an_allowed_host(server, leads) -> None:
    asked = leads("images.example", ["127.0.0.1"])
    assert hosts(server).fetch(url(server, "/a%20b.png?size=3")) == PICTURE
    assert server.asked == [(f"images.example:{server.server_port}", "/a%20b.png?size=3")]
    assert asked == ["images.example"], "resolved once"


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/good.png",
        "http://localhost:{port}/good.png",
        "http://images.example/good.png",
        "https://images.example:{port}/good.png",
        "http://images.example.evil.example:{port}/good.png",
        "http://evil.example:{port}/images.example",
        "http://images.example:{port}@evil.example/good.png",
        "http://user@images.example:{port}/good.png",
        "http://images.example:{port}\\@evil.example/good.png",
        "http://images.example:{port}/good.png\r\nX-Evil: 1",
        "http://images.example:99999/good.png",
        "http://[::1]:{port}/good.png",
        "http://2130706433:{port}/good.png",
        "http:///good.png",
        "ftp://images.example/good.png",
        "file:///etc/passwd",
        "/etc/passwd",
        "gopher://images.example:{port}/",
        "http://images.example:{port}/ä.png",
    ],
)
def test_addresses_that_are_not_asked(server, leads, address) -> None:
    leads("images.example", ["127.0.0.1"])
    with pytest.raises(BadImage):
        hosts(server).fetch(address.format(port=server.server_port))
    assert server.asked == []


def test_a_name_that_leads_inside_is_not_asked(server, leads) -> None:
    allowed = hosts(server, private=False)
    for addresses in (["127.0.0.1"], ["10.0.0.1"], ["169.254.169.254"], ["::1"], ["fd00::1"],
                      ["::ffff:127.0.0.1"], ["8.8.8.8", "127.0.0.1"]):  # fmt: skip
        leads("images.example", addresses)
        with pytest.raises(BadImage, match="not fetched from where images"):
            allowed.fetch(url(server))
    assert server.asked == []


def test_link_local_addresses_are_never_asked(server, leads) -> None:
    leads("images.example", ["169.254.169.254"])
    with pytest.raises(BadImage, match="leads"):
        hosts(server, private=True).fetch(url(server))


def test_a_name_that_leads_elsewhere_the_next_time_gains_nothing(
    server, leads, monkeypatch
) -> None:
    asked = leads("images.example", ["8.8.8.8"], ["127.0.0.1"])
    connected: list[str] = []

    def connect(self, host, port, *_: object):
        connected.append(host)
        raise httpcore.ConnectError("no network here")

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", connect)
    with pytest.raises(BadImage, match="no connection"):
        hosts(server, private=False).fetch(url(server))
    assert connected == ["8.8.8.8"], "the address that was looked at, not the name"
    assert asked == ["images.example"]
    with pytest.raises(BadImage, match="leads"):
        hosts(server, private=False).fetch(url(server))
    assert connected == ["8.8.8.8"]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/elsewhere", "answers 302"),
        ("/none", "answers 404"),
        ("/endless", "more than 50000 bytes"),
        ("/slow", "longer than 0.5 seconds"),
        ("/mute", "longer than 0.5 seconds"),
    ],
)
def test_answers_that_are_no_picture(server, leads, path, told) -> None:
    leads("images.example", ["127.0.0.1"])
    began = time.monotonic()
    with pytest.raises(BadImage, match=told):
        hosts(server, seconds=0.5, most=50_000).fetch(url(server, path))
    assert time.monotonic() - began < 2
    assert len(server.asked) == 1


def test_nobody_listens(leads) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    leads("images.example", ["127.0.0.1"])
    allowed = ImageHosts([f"http://images.example:{port}"], private=True, seconds=1)
    with pytest.raises(BadImage, match="no connection"):
        allowed.fetch(f"http://images.example:{port}/a.png")


@pytest.mark.parametrize(
    ("address", "outer", "inner"),
    [
        ("8.8.8.8", True, True),
        ("2606:4700::1111", True, True),
        ("10.1.2.3", False, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("fd00::1", False, True),
        ("100.64.0.1", False, False),
        ("169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::a9fe:a9fe", False, False),
        ("2002:7f00:1::", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("255.255.255.255", False, True),
    ],
)
def test_which_addresses_may_be_asked(address, outer, inner) -> None:
    found = ipaddress.ip_address(address)
    assert may_be_asked(found, private=False) == outer
    assert may_be_asked(found, private=True) == inner


def test_a_request_with_the_address_of_a_picture(
    server, leads, model, pictures, monkeypatch
) -> None:
    leads("images.example", ["127.0.0.1"])
    file = io.BytesIO()
    pictures[0].save(file, "PNG")
    monkeypatch.setattr(Pictures, "data", file.getvalue())
    app = create_app(model, config=ServeConfig(max_tokens=8), image_hosts=hosts(server))
    with TestClient(app, base_url="http://localhost") as client:
        edit = {"prompt": "What is this?", "images": [url(server)], "target": "a violet"}
        assert client.post("/v1/edits", json=edit).status_code == 201
        parts = [
            {"type": "image_url", "image_url": {"url": url(server)}},
            {"type": "text", "text": "What is this?"},
        ]
        ask = {"messages": [{"role": "user", "content": parts}]}
        said = client.post("/v1/chat/completions", json=ask).json()
        assert said["choices"][0]["message"]["content"] == "a violet"
        parts[0]["image_url"]["url"] = url(server, host="evil.example")
        found = client.post("/v1/chat/completions", json=ask)
        assert found.status_code == 400
        assert "not fetched from evil.example" in found.json()["error"]["message"]
    assert len(server.asked) == 2
