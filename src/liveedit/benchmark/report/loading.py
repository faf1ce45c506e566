"""A run's folder, read and checked: ``summary.json``, ``records-N.jsonl``, ``general.json``."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError
from tqdm import tqdm

from liveedit.benchmark.report.probe import Probe
from liveedit.errors import BadRun

SUMMARY, GENERAL, SCOPE = "summary.json", "general.json", "scope.json"
_PROBE = TypeAdapter(Probe)
_ROUNDING = 0.011  # a summary has two decimals


class Figures(BaseModel):
    """Figures of one metric, in per cent.

    Args:
        accuracy: Mean over probes, under teacher forcing.
        interval: 95%, bootstrap.
        exact_match: Of generated answers; None without generation.
        exact_interval: 95%, bootstrap; older runs have none.
        before: Accuracy of the unedited model; None for locality.
        n: Probes.
    """

    accuracy: float
    interval: tuple[float, float]
    exact_match: float | None = None
    exact_interval: tuple[float, float] | None = None
    before: float | None = None
    n: int = Field(gt=0)


class OneRun(BaseModel):
    """What was found with N edits in force."""

    metrics: dict[str, Figures] = Field(min_length=1)
    seconds: float | None = None
    corrections_per_second: float | None = None


class Summary(BaseModel):
    """What a page needs of ``summary.json``; ``runs`` by N, ``retention`` by later edits."""

    dataset: str
    split: str
    method: str
    backbone: str
    corrections: int
    runs: dict[int, OneRun] = Field(min_length=1)
    retention: dict[int, dict[str, Figures]] = {}


class Skill(BaseModel):
    """How well a task that no edit concerns is done."""

    right: float
    n: int
    percent: float


class General(BaseModel):
    """General ability before and after so many edits, by task."""

    before: dict[str, Skill]
    after: dict[str, Skill]
    edits: int


class Asked(BaseModel):
    """Answers that are right, in per cent, with their interval (95%)."""

    right: float
    interval: tuple[float, float]
    n: int
    answered_with_a_correction: float | None = None


class Trial(BaseModel):
    """A trial of scope: what is in force, how much at a time, and what was asked, by label."""

    corrections: int
    reached: int
    superseded: int
    superseded_wanted: int
    together: int | None = None
    questions: dict[str, Asked]


class Scope(BaseModel):
    """Trials by name."""

    trials: dict[str, Trial]


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run.

    Args:
        name: The folder's name, longer where several runs share it.
        folder: Where it lies.
        summary: Its figures.
        settings: ``summary.json`` as it is.
        probes: By N; empty if only the summary was read.
        general: General ability, if it was measured.
        scope: Trials of scope, if any was run.
    """

    name: str
    folder: Path
    summary: Summary
    settings: Mapping[str, Any]
    probes: Mapping[int, Sequence[Probe]]
    general: General | None
    scope: Scope | None = None

    @property
    def most(self) -> int:
        """The largest N."""
        return max(self.summary.runs)


def load_runs(folders: Sequence[Path], *, records: bool = True) -> list[Run]:
    """Read some runs and name them apart.

    Args:
        folders: What ``liveedit bench run --out`` wrote.
        records: Whether every probe is read, too.

    Raises:
        BadRun: A folder is no run, is named twice, or holds a damaged file, which is named.
    """
    names = _names(folders)
    return [
        load_run(folder, name=name, records=records)
        for folder, name in zip(folders, names, strict=True)
    ]


def load_run(folder: Path, *, name: str | None = None, records: bool = True) -> Run:
    """Read one run; see :func:`load_runs`."""
    path = folder / SUMMARY
    if not path.is_file():
        raise BadRun(
            f"{folder} is no benchmark run, it has no {SUMMARY}; "
            "give the folder that `liveedit bench run --out` wrote"
        )
    settings = _json(path)
    if settings.get("teacher_forced") is False:
        raise BadRun(
            f"{folder} is a trial of `liveedit bench tune`, which asks for exact answers alone; "
            "give a run of what was chosen: `liveedit bench run --settings TUNED/chosen.json`"
        )
    summary = _checked(Summary, settings, path)
    probes = {n: _probes(folder, n, summary.runs[n].metrics) for n in summary.runs if records}
    general, scope = folder / GENERAL, folder / SCOPE
    return Run(
        name=name or folder.resolve().name,
        folder=folder,
        summary=summary.model_copy(update={"runs": dict(sorted(summary.runs.items()))}),
        settings=settings,
        probes=dict(sorted(probes.items())),
        general=_checked(General, _json(general), general) if general.is_file() else None,
        scope=_checked(Scope, _json(scope), scope) if scope.is_file() else None,
    )


def _names(folders: Sequence[Path]) -> list[str]:
    """The last parts of the paths, as few as tell them apart."""
    paths = [folder.resolve() for folder in folders]
    for path in paths:
        if paths.count(path) > 1:
            raise BadRun(f"{path} is given twice; give every run once")
    parts = 1
    while True:
        names = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
        parts += 1


def _probes(folder: Path, n: int, metrics: Mapping[str, Figures]) -> list[Probe]:
    path = folder / f"records-{n}.jsonl"
    if not path.is_file():
        raise BadRun(
            f"{path} is missing, so nothing is known of single probes; run `liveedit bench run` "
            "again, or report figures alone with --summary-only"
        )
    probes = list(_lines(path))
    if not probes:
        raise BadRun(f"{path} holds no records; run `liveedit bench run` again")
    _agree(path, probes, metrics)
    return probes


def _lines(path: Path) -> Iterator[Probe]:
    with path.open("rb") as file:
        bar = tqdm(file, desc=path.name, unit="line", unit_scale=True, leave=False, delay=2)
        for number, line in enumerate(bar, start=1):
            if line.isspace():
                continue
            try:
                yield _PROBE.validate_json(line)
            except ValidationError as error:
                raise BadRun(
                    f"line {number} of {path} is damaged ({_first(error)}); "
                    "run `liveedit bench run` again"
                ) from error


def _agree(path: Path, probes: Sequence[Probe], metrics: Mapping[str, Figures]) -> None:
    """Refuse records that are not those of the summary."""
    accuracies: dict[str, list[float]] = defaultdict(list)
    for probe in probes:
        accuracies[probe.metric].append(probe.accuracy)
    for metric in {**metrics, **accuracies}:
        rows, figures = accuracies.get(metric, []), metrics.get(metric)
        said = figures.n if figures else 0
        if len(rows) != said:
            what = f"{len(rows)} probes of {metric} where {SUMMARY} has {said}"
        elif figures and abs(100 * sum(rows) / len(rows) - figures.accuracy) > _ROUNDING:
            what = f"other accuracies of {metric} than {SUMMARY}"
        else:
            continue
        raise BadRun(f"{path} has {what}; run `liveedit bench run` again into an empty folder")


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # also text that is no UTF-8
        raise BadRun(f"{path} is damaged ({error}); run `liveedit bench run` again") from error


def _checked(model: type[Any], content: Any, path: Path) -> Any:
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise BadRun(
            f"{path} is not what `liveedit bench` writes ({_first(error)}); run it again"
        ) from error


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]
