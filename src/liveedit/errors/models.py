"""Models and editors that do not fit, and their folders."""

from __future__ import annotations

from liveedit.errors.base import LiveEditError


class BackboneMismatch(LiveEditError):
    """An editor checkpoint made for another backbone, or another layer of it."""

    def __init__(self, *, expected: dict[str, object], found: dict[str, object]) -> None:
        differing = ", ".join(
            f"{key}: checkpoint {expected.get(key)!r}, model {found.get(key)!r}"
            for key in sorted(expected.keys() | found.keys())
            if expected.get(key) != found.get(key)
        )
        super().__init__(
            f"this editor was trained for another backbone ({differing}); "
            "load the backbone it was trained for, or train an editor with: liveedit train"
        )
        self.expected, self.found = expected, found


class ModelChanged(LiveEditError):
    """A model that no longer computes with the weights that its edits were made for."""

    def __init__(self, problem: str, *, instead: str) -> None:
        super().__init__(f"{problem}; {instead}")


class ModelClosed(LiveEditError):
    """An edited model that was closed, and has let go of the model that it wrapped."""

    def __init__(self) -> None:
        super().__init__("this edited model was closed; wrap or load the model again")


class BadCheckpoint(LiveEditError):
    """A file or folder that is not an editor checkpoint."""


class BadConfig(LiveEditError):
    """A file of settings that cannot be read, or holds what is not known."""


class UnknownFamily(LiveEditError):
    """A model of a family that is not supported."""

    def __init__(self, family: str, *, known: list[str], nearest: str | None) -> None:
        hint = f"the nearest is {nearest!r}; " if nearest else ""
        super().__init__(
            f"models of type {family!r} are not supported, only {', '.join(known)}; {hint}add the "
            "family as docs/backbones.md shows, or use another model"
        )


class CannotCalibrate(LiveEditError):
    """Pictures and questions do not suffice to calibrate an editor."""


class CannotServe(LiveEditError):
    """A model, version or setting of vLLM that edits cannot be served with."""
