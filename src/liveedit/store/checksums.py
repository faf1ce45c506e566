"""Checksums of what a store keeps."""

from __future__ import annotations

import hashlib
import json

from liveedit.store.edit import Edit


def checksum(*parts: bytes) -> str:
    """SHA-256 in hexadecimal, of each part's length and bytes."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()


def edit_checksum(edit: Edit, *parts: str) -> str:
    """Checksum of all that people read of an edit, and of what else belongs to it."""
    fields = edit.as_json()
    if not edit.rephrasings:  # edits from before schema 0004 knew none
        del fields["rephrasings"]
    told = json.dumps(fields, ensure_ascii=False, sort_keys=True)
    return checksum(told.encode(), *(part.encode() for part in parts))
