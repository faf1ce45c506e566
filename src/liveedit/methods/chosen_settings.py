"""Settings of a method that were chosen, as a file that the benchmark reads and writes.

``{"method": "wise", "settings": {"rate": 0.3}}``; further entries say how they were chosen.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from liveedit.config import Config
from liveedit.errors import BadSettings
from liveedit.methods.base import Method


def settings_of(kind: type[Method], values: Mapping[str, object]) -> Config:
    """A method's settings, the defaults with some values changed.

    Args:
        kind: The method.
        values: What is not as by default. Of the settings that are searched only the values that
            are, and the default, are taken: methods are compared under one budget.

    Raises:
        BadSettings: There is no such setting, or it does not take this value.
    """
    fields = kind.config_class.model_fields
    for name, value in values.items():
        if name not in fields:
            near = difflib.get_close_matches(name, fields, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(fields)}"
            raise BadSettings(f"the method {kind.name!r} has no setting {name!r}; {hint}")
        space = kind.config_class.search_space.get(name)
        default = fields[name].default
        if space is not None and value not in space and value != default:
            tried = ", ".join(map(repr, space))
            raise BadSettings(
                f"{name} = {value!r} is outside the space of the method {kind.name!r}; take one "
                f"of {tried}, or the default {default!r}"
            )
    try:
        return kind.config_class.model_validate(dict(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"]))
        raise BadSettings(
            f"{name} = {first['input']!r} is no setting of the method {kind.name!r} "
            f"({first['msg']}); change it"
        ) from error


def method_in(path: Path) -> str:
    """The method that a file of settings is of.

    Raises:
        BadSettings: It cannot be read, or names none.
    """
    return _read(path)[0]


def read_chosen(path: Path, kind: type[Method]) -> Config:
    """Read settings from a file.

    Args:
        path: What ``liveedit bench tune`` wrote, or was written by hand.
        kind: The method that they must be of.

    Raises:
        BadSettings: It cannot be read, is of another method, or holds what this one does not take.
    """
    name, values = _read(path)
    if name != kind.name:
        raise BadSettings(
            f"{path} holds settings of the method {name!r}; give --method {name}, or settings of "
            f"{kind.name!r}"
        )
    return settings_of(kind, values)


def _read(path: Path) -> tuple[str, dict[str, object]]:
    """The method, and its settings."""
    try:
        chosen = json.loads(path.read_text(encoding="utf-8"))
        return str(chosen["method"]), dict(chosen["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = str(error).splitlines()[0]
        raise BadSettings(
            f"{path} holds no settings ({problem}); make them with `liveedit bench tune`, or write "
            '{"method": ..., "settings": {...}}'
        ) from error
