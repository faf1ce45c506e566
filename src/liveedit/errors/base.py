"""What all errors of the project are."""

from __future__ import annotations


class LiveEditError(Exception):
    """Base of all errors of this package."""
