"""What is tried next: the defaults first, then what Optuna proposes of a method's space.

A space is a grid of a few values for each setting. Numbers are proposed by their place in it, so
that what lies beside a good value is known to be near; what was tried is never tried again.
"""

from __future__ import annotations

import importlib.util
import itertools
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from liveedit.config import Config
from liveedit.errors import BadSettings, MissingExtra

_RANDOM = 6  # trials before proposals learn from them
Settings = dict[str, Any]
Tried = Sequence[tuple[Settings, float]]


def require_optuna() -> None:
    """See that there is something that proposes.

    Raises:
        MissingExtra: There is not.
    """
    if importlib.util.find_spec("optuna") is None:
        raise MissingExtra("optuna", extra="tune")


def defaults_of(kind: type[Config]) -> Settings:
    """What the searched settings are by default."""
    return {name: kind.model_fields[name].default for name in kind.search_space}


def size_of(kind: type[Config]) -> int:
    """How many different settings there are, the defaults among them."""
    grid = math.prod(map(len, kind.search_space.values()))
    return grid + (not _within(kind.search_space, defaults_of(kind)))


def proposed(kind: type[Config], tried: Tried, *, seed: int) -> Settings | None:
    """What to try next; it depends on what was tried, and the seed, alone.

    Args:
        kind: Class of the settings.
        tried: Settings and their score in per cent, the oldest first.
        seed: Of the proposals.

    Returns:
        The settings; None if all were tried.

    Raises:
        BadSettings: The method names nothing to search.
    """
    space = kind.search_space
    if not space:
        raise BadSettings(
            f"{kind.__name__} names no settings to search; give its class a `search_space`"
        )
    if not tried:
        return defaults_of(kind)
    known = [settings for settings, _ in tried]
    names = list(space)
    grid = (dict(zip(names, values, strict=True)) for values in itertools.product(*space.values()))
    left = [settings for settings in grid if settings not in known]
    if not left:
        return None
    suggested = _suggested(space, tried, seed + len(tried))
    if suggested in left:
        return suggested
    return random.Random(seed + len(tried)).choice(left)


def _suggested(space: Mapping[str, Sequence[object]], tried: Tried, seed: int) -> Settings:
    """What Optuna's tree-structured Parzen estimator would try."""
    import optuna
    from optuna.distributions import CategoricalDistribution, IntDistribution

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    places: dict[str, Any] = {
        name: IntDistribution(0, len(values) - 1)
        if all(isinstance(value, int | float) for value in values)
        else CategoricalDistribution(list(range(len(values))))
        for name, values in space.items()
    }
    sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, n_startup_trials=_RANDOM)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    for settings, score in tried:
        if _within(space, settings):
            at = {name: list(space[name]).index(value) for name, value in settings.items()}
            done = optuna.trial.create_trial(params=at, distributions=places, value=score)
            study.add_trial(done)
    asked = study.ask(places)
    return {name: values[asked.params[name]] for name, values in space.items()}


def _within(space: Mapping[str, Sequence[object]], settings: Settings) -> bool:
    return all(settings[name] in values for name, values in space.items())
