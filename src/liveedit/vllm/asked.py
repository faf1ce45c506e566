"""What a request asks of the plugin: fields of ``extra_args``, ``vllm_xargs`` over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from liveedit.errors import BadRequestField

NAMESPACE, REVISION, DISABLED = "liveedit_namespace", "liveedit_revision", "liveedit_disabled"
# set by the plugin itself, see `liveedit.vllm.pictures` and `liveedit.vllm.questions`
PICTURES, QUESTION = "liveedit_pictures", "liveedit_question"
_FIELDS = (NAMESPACE, REVISION, DISABLED)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """The edits that a request is answered with.

    Args:
        namespace: The set that they belong to.
        revision: The state of the store; None for the newest.
    """

    namespace: str
    revision: int | None


def read_asked(fields: Mapping[str, Any] | None, allowed: Sequence[str]) -> Asked | None:
    """What is asked; None if the request is to be answered without edits.

    Args:
        fields: ``extra_args`` of the request; those of other names are others'.
        allowed: Namespaces that may be asked for.

    Raises:
        BadRequestField: A field is unknown, is something else, or names a namespace that is not
            served.
    """
    own = {name: value for name, value in (fields or {}).items() if name.startswith("liveedit")}
    for name in own:
        if name not in _FIELDS:
            near = get_close_matches(name, _FIELDS, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(_FIELDS)}"
            raise BadRequestField(f"there is no field {name}; {hint}")
    if _flag(own.get(DISABLED, False)):
        return None
    namespace, revision = own.get(NAMESPACE, ""), own.get(REVISION)
    if not isinstance(namespace, str) or namespace not in allowed:
        raise BadRequestField(
            f"the namespace {namespace!r} is not served; ask for one of "
            f"{', '.join(map(repr, allowed))}, or name it in the server's settings"
        )
    if revision is not None and (isinstance(revision, bool) or not isinstance(revision, int)):
        raise BadRequestField(f"{REVISION} is {revision!r}; give the whole number of a revision")
    return Asked(namespace=namespace, revision=revision)


def pinned(fields: Mapping[str, Any]) -> Asked | None:
    """What a request asks, as the front end has checked it, with the revision that it fixed.

    Args:
        fields: ``extra_args`` as they come to the worker.
    """
    if REVISION not in fields or fields.get(DISABLED):
        return None
    return Asked(namespace=fields.get(NAMESPACE, ""), revision=fields[REVISION])


def _flag(value: Any) -> bool:
    if value in (True, False):  # 1 and 0 as well: over HTTP there are no truth values
        return bool(value)
    raise BadRequestField(f"{DISABLED} is {value!r}; give 1 or 0")
