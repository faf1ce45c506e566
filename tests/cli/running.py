"""How tests run a command."""

from collections.abc import Callable
from typing import Any

Run = Callable[..., Any]


def add(run: Run, picture: int | None, prompt: str, target: str, *more: str, **how: Any) -> Any:
    image = [] if picture is None else ["--image", f"{picture}.png"]
    return run("edit", "add", *image, "--prompt", prompt, "--target", target, *more, **how)
