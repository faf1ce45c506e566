"""Recipes: YAML files that name a backbone and how its editor is trained as published."""

from __future__ import annotations

import difflib
from pathlib import Path

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
        training: Settings of the published training.
    """

    backbone: str
    edit_layer: int
    training: PublishedTraining = PublishedTraining()


def read_recipe(path: str | Path) -> Recipe:
    """Read a recipe.

    Raises:
        BadConfig: The file cannot be read, or holds a key or a value that is not known.
    """
    try:
        held = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
        return Recipe.model_validate(held)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadConfig(f"{path} cannot be read ({str(error).splitlines()[0]})") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        near = difflib.get_close_matches(str(first["loc"][-1]) if first["loc"] else "", _KEYS, n=1)
        hint = f"; did you mean {near[0]!r}?" if first["type"] == "extra_forbidden" and near else ""
        raise BadConfig(f"{path}: {place}: {first['msg']}{hint}") from error


def _keys(model: type[Config]) -> set[str]:
    inner = (field.annotation for field in model.model_fields.values())
    nested = [kind for kind in inner if isinstance(kind, type) and issubclass(kind, Config)]
    return set(model.model_fields).union(*map(_keys, nested))


_KEYS = sorted(_keys(Recipe))
