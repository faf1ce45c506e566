"""All trials by name, and a run of them whose results are kept one by one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from liveedit.benchmark.same_run import refuse_another
from liveedit.benchmark.scope.facts import about_one_picture, about_one_subject
from liveedit.benchmark.scope.languages import in_other_languages
from liveedit.benchmark.scope.pictures import contradictions, look_alikes, saved_anew
from liveedit.benchmark.scope.trial import Trial, joined, run_trial
from liveedit.benchmark.scope.wordings import after_long_text, in_free_words, other_things_asked
from liveedit.data.cached_states import weights_digest
from liveedit.data.emoji_edit.free_words import HeldBack
from liveedit.editor import EditedModel
from liveedit.saving.files import write_whole

TRIALS: Mapping[str, Callable[[HeldBack], Trial]] = MappingProxyType(
    {
        "saved-anew": saved_anew,
        "free-wordings": in_free_words,
        "long-text": after_long_text,
        "other-questions": other_things_asked,
        "look-alikes": look_alikes,
        "contradictions": contradictions,
        "facts-of-a-picture": about_one_picture,
        "facts-of-a-subject": about_one_subject,
        "languages": in_other_languages,
    }
)
SCOPE_FILE = "scope.json"


def run_scope(
    model: EditedModel,
    folder: Path,
    split: HeldBack,
    names: Sequence[str],
    limit: int | None = None,
) -> dict[str, Any]:
    """Run some trials that are drawn; see :func:`run_trials`.

    Args:
        model: A model; each trial has a store of its own.
        folder: Where the results go.
        split: Whose words and concepts.
        names: Of the trials.
        limit: So many corrections of each at most, drawn at random, always the same ones; all if
            None.
    """

    def made(name: str) -> Callable[[], Iterable[Trial]]:
        def make() -> Iterable[Trial]:
            trial = TRIALS[name](split)
            return [trial if limit is None else trial.limited(limit)]

        return make

    told = {"split": split} | ({} if limit is None else {"limit": limit})
    return run_trials(model, folder, {name: made(name) for name in names}, told)


def run_trials(
    model: EditedModel,
    folder: Path,
    trials: Mapping[str, Callable[[], Iterable[Trial]]],
    told: Mapping[str, Any],
) -> dict[str, Any]:
    """Run some trials; those that are in the folder already are not run again.

    Args:
        model: A model; each trial has a store of its own.
        folder: Where ``scope.json`` and, for every trial, ``scope-NAME.jsonl`` (a line for each
            question) go.
        trials: By name what makes them; of several the results are taken together.
        told: What else the results depend on.

    Returns:
        What is known of all trials so far, by name.

    Raises:
        OtherRun: The folder holds trials of something else.
    """
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        **told,
        "method": model.method.name,
        "backbone": model.backbone.name,
        "digest": weights_digest(model.backbone),
        **model.method.learned,
        **model.method.describe(),
        "dtype": model.backbone.precision,
    }
    path = folder / SCOPE_FILE
    if path.exists():
        known = json.loads(path.read_text(encoding="utf-8"))
        refuse_another(folder, known["about"], about, kept=SCOPE_FILE)
    else:
        known = {"about": about, "trials": {}}
    for name, make in trials.items():
        if name in known["trials"]:
            continue
        began = time.perf_counter()
        outcome = joined([run_trial(model, trial, title=name) for trial in make()])
        seconds = round(time.perf_counter() - began, 1)
        known["trials"][name] = {**outcome.as_json(), "seconds": seconds}
        lines = (
            json.dumps(
                {
                    "label": one.question.label,
                    "about": one.question.about,
                    "prompt": one.question.prompt,
                    "wanted": one.question.target if one.before is None else one.before,
                    "answer": one.after,
                    "right": one.right,
                },
                ensure_ascii=False,
            )
            for one in outcome.answered
        )
        write_whole(folder / f"scope-{name}.jsonl", "\n".join(lines) + "\n")
        write_whole(path, json.dumps(known, indent=2) + "\n")
    return dict(known["trials"])
