"""Recipes: YAML files that name a backbone and how its editor is trained as published."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from liveedit.config import Config
from liveedit.errors import BadConfig
from liveedit.training.published import PublishedTraining


class Recipe(Config):
    """What ``configs/`` holds.

    Args:
        backbone: What the editor is for, see :func:`liveedit.backbones.registry.load_backbone`.
        edit_layer: Decoder layer that is read and edited.
        data: What is learned from, as ``liveedit train --data`` takes it; drawings by default.
        images: Folder of the pictures that files name.
        training: Settings of the published training.
    """

    backbone: str
    edit_layer: int
    data: tuple[str, ...] = ()
    images: str | None = None
    training: PublishedTraining = PublishedTraining()


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe.

    ``based_on: OTHER.yaml`` takes over what another one beside it says, and changes it.

    Raises:
        BadConfig: The file cannot be read, or holds a key or a value that is not known.
    """
    try:
        return Recipe.model_validate(_held(Path(path)))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        near = difflib.get_close_matches(str(first["loc"][-1]) if first["loc"] else "", _KEYS, n=1)
        hint = f"; did you mean {near[0]!r}?" if first["type"] == "extra_forbidden" and near else ""
        raise BadConfig(f"{path}: {place}: {first['msg']}{hint}") from error


def _held(path: Path, *, above: bool = True) -> Any:
    try:
        held = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadConfig(f"{path} cannot be read ({str(error).splitlines()[0]})") from error
    if not above or not isinstance(held, dict) or not isinstance(held.get("based_on"), str):
        return held
    name = held.pop("based_on")
    if Path(name).name != name:
        raise BadConfig(f"{path}: based_on is {name!r}; name a file in the same folder")
    return _over(_held(path.with_name(name), above=False), held)


def _over(below: Any, above: Any) -> Any:
    """What is above, and of mappings what is only below."""
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    return below | {key: _over(below.get(key), value) for key, value in above.items()}


def _keys(model: type[Config]) -> set[str]:
    inner = (field.annotation for field in model.model_fields.values())
    nested = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, Config)]
    return set(model.model_fields).union(*map(_keys, nested))


_KEYS = sorted(_keys(Recipe))
