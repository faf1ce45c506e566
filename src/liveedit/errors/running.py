"""Data, runs, servers and the room they need."""

from __future__ import annotations

from liveedit.errors.base import LiveEditError


class RequestRefused(LiveEditError):
    """A server that does not do what was asked of it, or does not answer at all.

    Args:
        status: HTTP status; 0 where there was no answer.
        code: The server's word for it.
    """

    def __init__(self, message: str, *, status: int = 0, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class EngineUnreachable(LiveEditError):
    """An engine beside the server that does not answer."""


class EngineRefused(LiveEditError):
    """An engine beside the server that does not do what was asked of it."""


class BadAnnotations(LiveEditError):
    """An annotation file that cannot be read, holds rows that cannot be used, or leaves none."""


class UnknownDataset(LiveEditError):
    """A dataset that is not known by this name."""

    def __init__(self, name: str, *, known: list[str], nearest: str | None) -> None:
        hint = f"did you mean {nearest!r}?" if nearest else "give one of those"
        super().__init__(f"there is no dataset {name!r} among {', '.join(known)}; {hint}")


class BadRun(LiveEditError):
    """A folder that is no benchmark run, lacks its records, or holds damaged ones."""


class RunsDiffer(LiveEditError):
    """Two benchmark runs that did not ask the same, so that they cannot be compared."""


class CacheTooSmall(LiveEditError):
    """The states that a training needs do not fit into the cache."""

    def __init__(self, *, needed: int, limit: int) -> None:
        super().__init__(
            f"the states of these corrections need {needed / 1e9:.1f} GB and the cache may hold "
            f"{limit / 1e9:.1f} GB; raise --states-limit or draw fewer corrections"
        )


class DiskTooSmall(LiveEditError):
    """The states that a training needs do not fit onto the disk."""

    def __init__(self, *, needed: int, free: int, folder: object) -> None:
        super().__init__(
            f"the states of these corrections need {needed / 1e9:.1f} GB more, and the disk of "
            f"{folder} has {free / 1e9:.1f} GB free; nothing was begun: free some, keep them "
            "elsewhere with --states, or draw fewer corrections"
        )


class OtherRun(LiveEditError):
    """A folder that holds a benchmark run, or a tuning, with other settings."""

    def __init__(self, folder: object, differing: list[str], *, kept: str = "run.json") -> None:
        super().__init__(
            f"{folder} holds a run with other settings ({', '.join(differing)}); give another "
            f"--out, or the settings in its {kept} to go on with it"
        )


class LmmsEvalFailed(LiveEditError):
    """lmms-eval could not be started, or failed."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"lmms-eval failed: {problem}; give --lmms-python an interpreter of an environment "
            "where `pip install lmms-eval` was run"
        )
