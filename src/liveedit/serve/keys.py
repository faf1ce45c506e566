"""API keys: made, listed, revoked; kept hashed in one file."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

from liveedit.errors import BadConfig
from liveedit.saving.files import write_whole

Scope = Literal["ask", "edit", "metrics", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
_PREFIX = "le-"
_ANY = "*"  # all namespaces


@dataclass(frozen=True, kw_only=True)
class Key:
    """What is kept of a key.

    Args:
        name: Whose it is: the author of what is done with it.
        digest: SHA-256 of the key, which is random enough to need no salt.
        scopes: ``ask``, ``edit`` (asking too), ``metrics`` (that alone), ``admin`` (everything, in
            all namespaces).
        namespaces: Those it is for; ``*`` for all.
        created: When it was made, UTC.
        revoked: When it was revoked; empty while it is good.
    """

    name: str
    digest: str
    scopes: tuple[Scope, ...]
    namespaces: tuple[str, ...]
    created: str
    revoked: str = ""

    def may(self, scope: Scope, namespace: str | None = None) -> bool:
        """Whether it has a right, in a namespace if one is named."""
        if self.revoked:
            return False
        if "admin" in self.scopes:
            return True
        held = scope in self.scopes or (scope == "ask" and "edit" in self.scopes)
        return held and (
            namespace is None or _ANY in self.namespaces or namespace in self.namespaces
        )

    @property
    def home(self) -> str:
        """The namespace that is meant where none is named."""
        return next((one for one in self.namespaces if one != _ANY), "")


class KeyFile:
    """Keys in a file, which is read anew when it changes.

    Args:
        path: JSON; need not be there yet.

    Raises:
        BadConfig: It is no file of keys.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, int] | None = None
        self._keys: list[Key] = []
        self.keys()

    def keys(self) -> list[Key]:
        """All keys, the revoked among them."""
        try:
            stat = self.path.stat()
        except FileNotFoundError:
            self._stamp, self._keys = None, []
            return []
        stamp = (stat.st_mtime_ns, stat.st_size)
        if stamp != self._stamp:
            self._keys, self._stamp = _read(self.path), stamp
        return list(self._keys)

    def find(self, token: str) -> Key | None:
        """The good key of this text; None if there is none."""
        digest = _digest(token)
        found = None
        for key in self.keys():  # all are looked at, whichever it is
            if hmac.compare_digest(key.digest, digest) and not key.revoked:
                found = key
        return found

    def add(self, name: str, scopes: Sequence[Scope], namespaces: Sequence[str]) -> str:
        """Make a key; it is told once, and never again.

        Raises:
            BadConfig: There is a good one of this name.
        """
        keys = self.keys()
        if any(key.name == name and not key.revoked for key in keys):
            raise BadConfig(f"there is a key {name!r} already; revoke it, or give another name")
        token = _PREFIX + secrets.token_urlsafe(32)
        made = Key(
            name=name,
            digest=_digest(token),
            scopes=tuple(scopes),
            namespaces=tuple(namespaces),
            created=_now(),
        )
        self._write([*keys, made])
        return token

    def revoke(self, name: str) -> None:
        """A key is good no more; what was done with it stays.

        Raises:
            BadConfig: There is no good key of this name.
        """
        keys = self.keys()
        if not any(key.name == name and not key.revoked for key in keys):
            raise BadConfig(f"there is no key {name!r} to revoke; see: liveedit keys list")
        now = _now()
        self._write(
            [replace(k, revoked=now) if k.name == name and not k.revoked else k for k in keys]
        )

    def _write(self, keys: Sequence[Key]) -> None:
        text = json.dumps({"keys": [asdict(key) for key in keys]}, indent=1) + "\n"
        write_whole(self.path, text)
        self.path.chmod(0o600)


def _read(path: Path) -> list[Key]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["keys"]
        return [
            Key(**{**row, "scopes": tuple(row["scopes"]), "namespaces": tuple(row["namespaces"])})
            for row in rows
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadConfig(
            f"{path} is no file of keys ({error}); make one with: liveedit keys add"
        ) from error


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
