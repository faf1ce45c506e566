"""Who may do what: keys, rights, rates, and where a request comes from."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import Request
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from liveedit.serve.failures import Refused
from liveedit.serve.keys import Key, KeyFile, Scope

COOKIE = "liveedit_key"  # how the page keeps a key
_LOCAL = ("localhost", "127.0.0.1", "::1")
_EVERYTHING = Key(
    name="", digest="", scopes=("admin",), namespaces=("*",), created=datetime.now(UTC).isoformat()
)


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks.

    Args:
        key: Theirs; one that may do everything where no keys are needed.
        address: Where the request comes from.
    """

    key: Key
    address: str

    def require(self, scope: Scope) -> Caller:
        """The caller, if they have a right in any namespace.

        Raises:
            Refused: They do not.
        """
        if not self.key.may(scope):
            raise Refused(403, f"this key may not {scope}", code="forbidden")
        return self

    def namespace(self, scope: Scope, named: str | None) -> str:
        """The namespace that is meant, if it may be used so.

        Raises:
            Refused: It may not.
        """
        chosen = self.key.home if named is None else named
        if not self.key.may(scope, chosen):
            raise Refused(
                403, f"this key may not {scope} in the namespace {chosen!r}", code="forbidden"
            )
        return chosen


class Access:
    """Looks at each request before anything is done for it.

    Args:
        keys: Whose requests are answered; None where everybody's are.
        hosts: Names that the server may be called by, beside its own on this machine.
        requests_a_minute: Of each key, or address.
    """

    def __init__(
        self, keys: KeyFile | None, *, hosts: Collection[str] = (), requests_a_minute: int
    ) -> None:
        self.keys = keys
        self._hosts = {*_LOCAL, *hosts}
        self._rate = RateLimitItemPerMinute(requests_a_minute)
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def caller(self, request: Request) -> Caller:
        """Who asks.

        Raises:
            Refused: They are not known (401), or ask too often (429).
        """
        address = request.client.host if request.client else ""
        key = _EVERYTHING if self.keys is None else self.keys.find(_token(request))
        self._count(f"key {key.name}" if self.keys and key else f"address {address}")
        if key is None:
            raise Refused(
                401, "give a key: Authorization: Bearer KEY (liveedit keys add)", code="no_key"
            )
        return Caller(key=key, address=address)

    def stranger(self, request: Request) -> None:
        """Somebody who needs no key to try one.

        Raises:
            Refused: They try too often.
        """
        self._count(f"address {request.client.host if request.client else ''}")

    def _count(self, who: str) -> None:
        if not self._limiter.hit(self._rate, who):
            raise Refused(429, "too many requests in a minute", code="rate_limit", retry_after=5)

    def check_host(self, request: Request) -> None:
        """A name that leads to this machine but is none of ours is a page's trick (rebinding).

        Raises:
            Refused: It is.
        """
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        name = _host(host)
        if name not in self._hosts and not _is_address(name):
            raise Refused(403, f"{name!r} is none of this server's names", code="unknown_host")
        if origin is not None and _host(origin) not in {name, *self._hosts}:
            raise Refused(403, f"pages of {origin!r} may not ask here", code="unknown_origin")


def _token(request: Request) -> str:
    given = request.headers.get("authorization")
    if given is None:
        return request.cookies.get(COOKIE, "")
    kind, _, token = given.partition(" ")
    return token.strip() if kind.casefold() == "bearer" else ""


def _host(value: str) -> str:
    bare = value.rsplit("://", 1)[-1]
    if bare.startswith("["):
        return bare[1:].partition("]")[0]
    return bare.partition(":")[0].casefold()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
