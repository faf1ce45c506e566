"""An edit: what is kept of a correction for people to read."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import uuid4


@dataclass(frozen=True, kw_only=True)
class Edit:
    """What is kept of a correction for people to read.

    Args:
        prompt: The corrected question.
        target: The answer it now has.
        image: Identity of the picture, see :func:`liveedit.correction.image_identity`; None for a
            text-only edit.
        namespace: The set of edits it belongs to; sets know nothing of each other.
        author: Who made it.
        reason: Why.
        supersedes: Names of the edits that are out of force as long as this one is not revoked.
        rephrasings: The question in other words, as people gave them.
        id: Name of the edit, unique.
        created: When it was made, UTC.
    """

    prompt: str
    target: str
    image: str | None
    namespace: str = ""
    author: str = ""
    reason: str = ""
    supersedes: tuple[str, ...] = ()
    rephrasings: tuple[str, ...] = ()
    id: str = field(default_factory=lambda: uuid4().hex[:16])
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def digest(self) -> str:
        """Identity of the correction; the same picture, question and answer have the same."""
        return correction_digest(self.image, self.prompt, self.target)

    def as_json(self) -> dict[str, object]:
        """Everything, for JSON."""
        return {
            "id": self.id,
            "namespace": self.namespace,
            "image": self.image,
            "prompt": self.prompt,
            "target": self.target,
            "author": self.author,
            "reason": self.reason,
            "created": self.created.isoformat(),
            "supersedes": list(self.supersedes),
            "rephrasings": list(self.rephrasings),
        }


def correction_digest(image: str | None, prompt: str, target: str) -> str:
    """SHA-256 in hexadecimal over the identity of the picture, the question and the answer."""
    stated = json.dumps([image, prompt, target], ensure_ascii=False)
    return hashlib.sha256(stated.encode()).hexdigest()
