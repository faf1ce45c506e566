"""What answers: the model of this process, or an engine beside it."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from liveedit.serve.jobs import Job


@runtime_checkable
class Engine(Protocol):
    """Takes jobs on, and tells each what is new of its answer."""

    @property
    def waiting(self) -> int:
        """Jobs that wait for their answer."""

    def submit(self, *jobs: Job) -> None:
        """Take jobs on, the choices of one request, all or none.

        Raises:
            Refused: Too many wait already, or the server is closing.
        """

    def close(self, *, seconds: float) -> None:
        """Finish what has been taken on; what takes longer is given up."""


@runtime_checkable
class EngineBeside(Engine, Protocol):
    """One that is no part of this process."""

    def problem(self) -> str | None:
        """Why it cannot answer now, if it cannot; may take two seconds."""
