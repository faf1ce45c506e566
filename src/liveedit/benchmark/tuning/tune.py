"""Choose a method's settings: some trials on validation corrections, the best one wins.

Every method has the same objective and the same budget, and its first trial is its defaults: what
is chosen is never worse than these on the corrections that it is chosen on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from liveedit import __version__
from liveedit.benchmark.metrics import OBJECTIVE
from liveedit.benchmark.run import run_benchmark
from liveedit.benchmark.same_run import refuse_another
from liveedit.benchmark.suite import Suite
from liveedit.benchmark.tuning.space import defaults_of, proposed, require_optuna, size_of
from liveedit.benchmark.tuning.trial_log import Trial, append_trial, read_trials
from liveedit.data.cached_states import weights_digest
from liveedit.data.views import digest
from liveedit.editor import EditedModel
from liveedit.errors import (
    BadRun,
    BadSettings,
    CacheTooSmall,
    DiskTooSmall,
    LiveEditError,
    OtherRun,
)
from liveedit.methods.base import Method
from liveedit.saving.files import write_whole

SETTINGS_FILE, LOG_FILE, CHOSEN_FILE = "tuning.json", "trials.jsonl", "chosen.json"
_TRIALS = "trials"
_FAILURES = (LiveEditError, RuntimeError, ValueError, ArithmeticError)  # of a method
_OF_THE_DISK = (OtherRun, BadRun, CacheTooSmall, DiskTooSmall)
Remake = Callable[[dict[str, Any]], Method]


@dataclass(frozen=True, kw_only=True)
class Tuned:
    """What was chosen.

    Args:
        method: Name of the method.
        settings: The best trial's.
        score: Its score, in per cent.
        default_score: That of the method's defaults.
        trial: Number of the best trial; of equal ones the first.
        trials: How many there were.
        of: How many different settings the method's space has.
        failed: Numbers of the trials that failed.
    """

    method: str
    settings: dict[str, Any]
    score: float
    default_score: float
    trial: int
    trials: int
    of: int
    failed: list[int]


def tune(
    method: Method,
    remake: Remake,
    folder: Path,
    suite: Suite,
    *,
    trials: int,
    edits: int = 100,
    seed: int = 0,
    about: dict[str, Any] | None = None,
    cache: Path | None = None,
    max_new_tokens: int | None = None,
) -> Tuned:
    """Try settings and keep the best; the same call goes on with what a killed one left.

    Args:
        method: The method with its defaults.
        remake: Makes it with some settings changed.
        folder: Where the files go: ``tuning.json``, what is tuned; ``trials.jsonl``, a line a
            trial; ``trials/NUMBER/``, what `run_benchmark` writes; ``chosen.json``, the best.
        suite: Validation corrections.
        trials: So many in all, those of an earlier call included; fewer if the space has fewer.
        edits: N, the size of a group.
        seed: Of what is proposed.
        about: What the log says of the suite.
        cache: See `run_benchmark`.
        max_new_tokens: See `run_benchmark`.

    Raises:
        BadSettings: The method has nothing to tune, or every trial failed.
        MissingExtra: Optuna is not installed.
        OtherRun: The folder, or that of a trial, holds something else.
        BadRun, CacheTooSmall, DiskTooSmall: See `run_benchmark`; no trial is written down.
    """
    require_optuna()
    kind = type(method.config)
    told = {
        "method": method.name, "dataset": suite.name, **(about or {}),
        "backbone": method.backbone.name, "corrections": len(suite.pictured), "edits": edits,
        "objective": f"mean exact match of {', '.join(OBJECTIVE)}", "seed": seed,
        "space": {name: list(values) for name, values in kind.search_space.items()},
        "defaults": defaults_of(kind),
        "dtype": method.backbone.precision, "version": __version__,
        "digest": digest([*suite.pictured, *suite.texts, *suite.hops],
                         weights_digest(method.backbone), method.learned),
    }  # fmt: skip
    _begin(folder, told)
    done = read_trials(folder / LOG_FILE)
    budget = min(trials, size_of(kind))
    with tqdm(total=budget, initial=len(done), desc=f"tuning {method.name}", unit="trial") as bar:
        while len(done) < budget:
            tried = [(trial.settings, trial.score) for trial in done]
            settings = proposed(kind, tried, seed=seed)
            assert settings is not None, "the budget is within the space"
            trial = _tried(
                len(done) + 1, settings, remake, folder, suite, edits=edits, about=about,
                cache=cache, max_new_tokens=max_new_tokens,
            )  # fmt: skip
            append_trial(folder / LOG_FILE, trial)
            done.append(trial)
            bar.set_postfix_str(f"best {max(one.score for one in done):.1f}")
            bar.update()
    return _chosen(method, folder, done, size_of(kind))


def _begin(folder: Path, told: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SETTINGS_FILE
    if path.exists():
        there = json.loads(path.read_text(encoding="utf-8"))
        refuse_another(folder, there, told, kept=SETTINGS_FILE)
    else:
        write_whole(path, json.dumps(told, indent=2) + "\n")


def _tried(
    number: int, settings: dict[str, Any], remake: Remake, folder: Path, suite: Suite, *,
    edits: int, **running: Any,
) -> Trial:  # fmt: skip
    """Run some settings; what the method fails at is told, and counts as the worst."""
    began = time.perf_counter()
    exact: dict[str, float] = {}
    failed = None
    try:
        summary = run_benchmark(
            EditedModel(remake(settings)),
            folder / _TRIALS / f"{number:03}",
            suite,
            edits=[edits],
            forced=False,
            metrics=OBJECTIVE,
            **running,
        )
        metrics = summary["runs"][str(edits)]["metrics"]
        exact = {name: metrics[name]["exact_match"] for name in OBJECTIVE}
    except _OF_THE_DISK:
        raise
    except _FAILURES as error:
        failed = f"{type(error).__name__}: {error}"
    return Trial(
        trial=number,
        settings=settings,
        score=round(sum(exact.values()) / len(exact), 3) if exact else 0.0,
        exact_match=exact,
        seconds=round(time.perf_counter() - began, 1),
        failed=failed,
    )


def _chosen(method: Method, folder: Path, done: list[Trial], of: int) -> Tuned:
    best = max(done, key=lambda trial: (trial.failed is None, trial.score, -trial.trial))
    if best.failed is not None:
        raise BadSettings(
            f"none of the {len(done)} trials of {method.name} could be finished (the first: "
            f"{done[0].failed}); nothing was chosen: see {folder / LOG_FILE}"
        )
    tuned = Tuned(
        method=method.name,
        settings=best.settings,
        score=best.score,
        default_score=done[0].score,
        trial=best.trial,
        trials=len(done),
        of=of,
        failed=[trial.trial for trial in done if trial.failed is not None],
    )
    write_whole(folder / CHOSEN_FILE, json.dumps(asdict(tuned), indent=2) + "\n")
    return tuned
