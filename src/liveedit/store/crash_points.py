"""Points at which tests of crashes stop a process."""

from __future__ import annotations


def reached(point: str) -> None:
    """Does nothing. Tests of crashes put something else here to stop a process at this point."""
