"""From a method's name to its class; nothing is imported before it is asked for."""

from __future__ import annotations

import difflib
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from liveedit import methods
from liveedit.errors import BrokenPlugin, UnknownMethod
from liveedit.methods.base import Method

PLUGINS = "liveedit.methods"  # group of entry points: name = "module:Class"


def method_names() -> tuple[str, ...]:
    """Names of all methods: the folders here, and what installed packages offer."""
    return tuple(dict.fromkeys((*_folders(), *sorted(_plugins()))))


def method_class(name: str) -> type[Method]:
    """The class of a method.

    Raises:
        UnknownMethod: There is none of that name.
        BrokenPlugin: An installed package offers it, but cannot be imported.
    """
    if name in (folders := _folders()):
        found: type[Method] = import_module(f"{methods.__name__}.{folders[name]}.method").METHOD
        return found
    plugin = _plugins().get(name)
    if plugin is None:
        known = method_names()
        near = difflib.get_close_matches(name, known, n=1)
        raise UnknownMethod(name, known=list(known), nearest=near[0] if near else None)
    try:
        loaded: type[Method] = plugin.load()
    except Exception as error:
        source = plugin.dist.name if plugin.dist else plugin.value
        raise BrokenPlugin("method", name, source=source, problem=str(error)) from error
    return loaded


def _folders() -> dict[str, str]:
    """Folders of methods by their names, which may have hyphens."""
    found = sorted(Path(methods.__path__[0]).glob("*/method.py"))
    return {path.parent.name.replace("_", "-"): path.parent.name for path in found}


def _plugins() -> dict[str, EntryPoint]:
    return {plugin.name: plugin for plugin in entry_points(group=PLUGINS)}
