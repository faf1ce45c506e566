"""The pictures of probes and of the edits that fired, as data URLs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from liveedit.benchmark.metrics import HOP_VIEW_OF, TEXT_VIEW_OF, VIEW_OF
from liveedit.benchmark.report.probe import Fired, Probe
from liveedit.benchmark.suite import Suite
from liveedit.correction.data_url import data_url
from liveedit.data.views import Case, question_of, views_of
from liveedit.errors import LiveEditError

_VIEW_OF = {**VIEW_OF, **TEXT_VIEW_OF, **HOP_VIEW_OF}
Suites = Callable[[Mapping[str, Any]], Suite]  # gives the suite of a run, for its settings

_SIDE = 208  # pixels of the longer side: twice what the page gives, for dense screens
_logger = logging.getLogger(__name__)


class Album:
    """Looks up what the probes of a run showed and what its edits said.

    A record has the position of its correction and the question. Where the correction there asks
    something else, the run is of another version of the data, and no picture is better than a wrong
    one.

    Args:
        settings: ``summary.json`` of the run.
        suites: Gives its suite. Where it cannot (a package or a file is missing), there are no
            pictures, and ``problem`` says why.
    """

    def __init__(self, settings: Mapping[str, Any], suites: Suites) -> None:
        self.problem: str | None = None
        self._suite: Suite | None = None
        try:
            self._suite = suites(settings)
        except LiveEditError as error:
            self.problem = str(error)
            _logger.warning("no pictures: %s", error)

    def knows(self, probe: Probe) -> bool:
        """Whether the correction of this number asks what the probe did."""
        view, case = _VIEW_OF.get(probe.metric), self._case(probe)
        return view is not None and case is not None and question_of(case, view) == probe.prompt

    def of_probe(self, probe: Probe) -> str | None:
        """Data URL of the picture that was asked about; None if there was none, or is not known."""
        case = self._case(probe)
        if case is None or not self.knows(probe):
            return None
        return self._picture(case, _VIEW_OF[probe.metric])

    def of_edit(self, fired: Fired) -> tuple[str | None, str, str] | None:
        """Picture, question and target of the edit that fired; None if it is not known."""
        if self._suite is None:
            return None
        case = _at(self._suite.texts if fired.text_only else self._suite.pictured, fired.case)
        if case is None:
            return None
        return self._picture(case, "edit"), question_of(case, "edit"), case.target

    def _case(self, probe: Probe) -> Case | None:
        if self._suite is None:
            return None
        if probe.metric in HOP_VIEW_OF:
            return _at(self._suite.hops, probe.case)
        return _at(self._suite.texts if probe.text_only else self._suite.pictured, probe.case)

    def _picture(self, case: Case, view: str) -> str | None:
        try:
            image, _ = views_of(case, (view,))[0]
        except (LiveEditError, OSError) as error:
            self.problem = str(error)
            _logger.warning("no picture: %s", error)
            return None
        return None if image is None else data_url(image, _SIDE)


def _at(cases: Sequence[Case], position: int) -> Case | None:
    return cases[position] if position < len(cases) else None
