"""Pictures from other hosts: from those that are allowed by name, and from no inner address.

A name is resolved once; the address is checked, and that very address is connected to, so that a
name which leads elsewhere the next time (DNS rebinding) gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Collection, Iterable
from threading import BoundedSemaphore
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpcore

from liveedit.correction.images import MAX_FILE_BYTES
from liveedit.errors import BadImage

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_PORTS = {"http": 80, "https": 443}
# addresses of IPv6 that carry one of IPv4 in them, which a gateway may connect to
_CARRIERS = tuple(map(ipaddress.IPv6Network, ("64:ff9b::/96", "2002::/16", "2001::/32")))


class ImageHosts:
    """Fetches pictures for requests.

    Args:
        names: Hosts, as ``images.example.org``, ``images.example.org:8443``, or with ``http://``
            in front those without TLS.
        private: Whether they may be at private and loopback addresses; link-local ones, where
            clouds tell secrets, are never asked.
        seconds: Longest time for one.
        most: Bytes of one.
        at_once: How many are fetched at a time.
        ssl_context: Who is trusted; the system's authorities by default.
    """

    def __init__(
        self,
        names: Collection[str],
        *,
        private: bool = False,
        seconds: float = 10.0,
        most: int = MAX_FILE_BYTES,
        at_once: int = 8,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._allowed = {_origin(name if "://" in name else f"https://{name}") for name in names}
        self._network = _CheckedNetwork(private=private)
        self._seconds, self._most = seconds, most
        self._turns = BoundedSemaphore(at_once)
        self._trust = ssl_context or ssl.create_default_context()

    def fetch(self, url: str) -> bytes:
        """The picture at an address.

        Raises:
            BadImage: Its host is none of those allowed or leads to an inner address, it does not
                answer with the picture itself, or takes too long or too much.
        """
        url = url.strip()
        origin = _origin(url)
        if origin not in self._allowed:
            raise BadImage(
                f"pictures are not fetched from {origin[1] or 'there'}; give a data URL, or have "
                "the host allowed (liveedit serve --image-host)"
            )
        until = time.monotonic() + self._seconds
        if not self._turns.acquire(timeout=self._seconds):
            raise _failed(origin, "too many are fetched at once")
        try:
            return self._read(url, origin, until)
        except httpcore.TimeoutException as error:
            raise _failed(origin, f"it takes longer than {self._seconds:g} seconds") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise _failed(origin, "there is no connection, or it broke") from error
        finally:
            self._turns.release()

    def _read(self, url: str, origin: tuple[str, str, int], until: float) -> bytes:
        left = dict.fromkeys(("connect", "read", "write", "pool"), self._seconds)
        headers = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "liveedit"}
        address = urlsplit(url)
        target = httpcore.URL(
            scheme=origin[0], host=origin[1], port=origin[2], target=_target(address)
        )
        with (
            httpcore.ConnectionPool(self._trust, network_backend=self._network) as pool,
            pool.stream(
                "GET", target, headers=[("Host", _host_header(origin)), *headers.items()],
                extensions={"timeout": left},
            ) as response,
        ):  # fmt: skip
            if response.status != 200:
                raise _failed(origin, f"it answers {response.status}; redirects are not followed")
            data = bytearray()
            for piece in response.iter_stream():
                data += piece
                if len(data) > self._most:
                    raise _failed(origin, f"it has more than {self._most} bytes")
                if time.monotonic() > until:
                    raise _failed(origin, f"it takes longer than {self._seconds:g} seconds")
            return bytes(data)


class _CheckedNetwork(httpcore.NetworkBackend):
    """Connects to addresses that were looked at."""

    def __init__(self, *, private: bool) -> None:
        self._private, self._plain = private, httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to where the name leads, if all its addresses are outer ones."""
        rows = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in rows]
        if not addresses or not all(may_be_asked(one, private=self._private) for one in addresses):
            raise BadImage(f"pictures are not fetched from where {host} leads")
        return self._plain.connect_tcp(
            str(addresses[0]), port, timeout, local_address, socket_options
        )

    def sleep(self, seconds: float) -> None:
        """Wait before another try."""
        self._plain.sleep(seconds)


def may_be_asked(address: _Address, *, private: bool) -> bool:
    """Whether a request may be sent to an address.

    Args:
        address: Where to.
        private: Whether private and loopback addresses may be asked.
    """
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return may_be_asked(address.ipv4_mapped, private=private)
        if any(address in carrier for carrier in _CARRIERS):
            return False
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return address.is_global or (private and (address.is_private or address.is_loopback))


def _origin(url: str) -> tuple[str, str, int]:
    """Scheme, host in lower case, and port.

    Raises:
        BadImage: It is no address of the web, or names a user.
    """
    try:
        parts = urlsplit(url.strip())
        scheme, port = parts.scheme.casefold(), parts.port
        host = (parts.hostname or "").rstrip(".").encode("idna").decode().casefold()
        plain = url.strip().isascii() and not any(c.isspace() or c == "\\" for c in url.strip())
    except (ValueError, UnicodeError) as error:
        raise BadImage("the picture's address cannot be read; give a data URL") from error
    if scheme not in _PORTS or not host or "@" in parts.netloc or not plain:
        raise BadImage(
            "pictures are given as data URLs (data:image/png;base64,...), or as the address of a "
            "host that is allowed"
        )
    return scheme, host, port or _PORTS[scheme]


def _target(address: SplitResult) -> bytes:
    query = f"?{address.query}" if address.query else ""
    return f"{address.path or '/'}{query}".encode("ascii")


def _host_header(origin: tuple[str, str, int]) -> str:
    scheme, host, port = origin
    name = f"[{host}]" if ":" in host else host
    return name if port == _PORTS[scheme] else f"{name}:{port}"


def _failed(origin: tuple[str, str, int], why: str) -> BadImage:
    return BadImage(f"the picture cannot be fetched from {origin[1]} ({why}); give a data URL")
