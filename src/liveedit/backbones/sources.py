"""Models that installed packages bring along, by name: the pocket VLM is one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from transformers import PreTrainedModel

from liveedit.errors import BrokenPlugin

PLUGINS = "liveedit.models"  # group of entry points: name = "module:SOURCE"

_log = logging.getLogger(__name__)


def _as_it_is(_model: PreTrainedModel) -> None:
    """Nothing more to do."""


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """A model that needs no download of ours.

    Args:
        build: Makes it, unless it is there, and gives the folder of the transformers model.
        editors: What it ships for editing methods: folders by the method's name.
        place: Where it is, or will be once it is built; None if it cannot be said.
        prepare: What is done to a loaded one, such as a faster memory format.
    """

    build: Callable[[], Path]
    editors: Mapping[str, Path] = field(default_factory=dict)
    place: Callable[[], Path] | None = None
    prepare: Callable[[PreTrainedModel], None] = _as_it_is


def model_source(name: str) -> ModelSource | None:
    """The source of a name; None if no installed package has one.

    All sources are imported: their packages may register classes with transformers that a saved
    model needs.

    Raises:
        BrokenPlugin: It cannot be imported. Of others that is only logged.
    """
    found: ModelSource | None = None
    for plugin in entry_points(group=PLUGINS):
        try:
            source = plugin.load()
        except Exception as error:
            broken = _broken(plugin, error)
            if plugin.name == name:
                raise broken from error
            _log.warning("%s", broken)
        else:
            found = source if plugin.name == name else found
    return found


def source_at(folder: Path) -> ModelSource | None:
    """The source whose model lies in this folder; None if it is of none."""
    for name in sorted({plugin.name for plugin in entry_points(group=PLUGINS)}):
        try:
            source = model_source(name)
        except BrokenPlugin as error:
            _log.debug("%s", error)
            continue
        if source is not None and source.place is not None:
            place = source.place()
            if place.is_dir() and folder.is_dir() and place.samefile(folder):
                return source
    return None


def _broken(plugin: EntryPoint, error: Exception) -> BrokenPlugin:
    package = plugin.dist.name if plugin.dist else plugin.value
    return BrokenPlugin("model", plugin.name, source=package, problem=str(error))
