"""The pictures of probes and of the edits that fired, as data URLs."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image

from liveedit.benchmark.emoji_edit import evaluation_set, validation_set
from liveedit.benchmark.knowledge import text_evaluation_set, text_validation_set
from liveedit.benchmark.metrics import TEXT_VIEW_OF, VIEW_OF
from liveedit.benchmark.report.probe import Fired, Probe
from liveedit.benchmark.views import question_of, views_of
from liveedit.errors import LiveEditError

# gives the corrections of a run, with a picture and text-only, for its ``summary.json``
Cases = Callable[[Mapping[str, Any]], tuple[Sequence[Any], Sequence[Any]]]

_SIDE = 208  # pixels of the longer side: twice what the page gives, for dense screens
_logger = logging.getLogger(__name__)


def emoji_cases(summary: Mapping[str, Any]) -> tuple[Sequence[Any], Sequence[Any]]:
    """The corrections of a run on emoji-edit; none for another dataset."""
    if summary["dataset"] != "emoji-edit":
        return (), ()
    if summary["split"] == "evaluation":
        return evaluation_set(), text_evaluation_set()
    return validation_set(), text_validation_set()


class Album:
    """Looks up what the probes of a run showed and what its edits said.

    A record has the number of its correction (``case.index``) and the question. Where the
    correction of this number asks something else, the run is of another version of the data, and
    no picture is better than a wrong one.

    Args:
        summary: ``summary.json`` of the run.
        cases: Gives its corrections. Where it cannot (a package or a file is missing), there are no
            pictures, and ``problem`` says why.
    """

    def __init__(self, summary: Mapping[str, Any], cases: Cases) -> None:
        self.problem: str | None = None
        pictured: Sequence[Any] = ()
        texts: Sequence[Any] = ()
        try:
            pictured, texts = cases(summary)
        except LiveEditError as error:
            self.problem = str(error)
            _logger.warning("no pictures: %s", error)
        self._cases = {
            text_only: {case.index: case for case in some}
            for text_only, some in ((False, pictured), (True, texts))
        }

    def knows(self, probe: Probe) -> bool:
        """Whether the correction of this number asks what the probe did."""
        view = self._view(probe)
        case = self._cases[probe.text_only].get(probe.case)
        return view is not None and case is not None and question_of(case, view) == probe.prompt

    def of_probe(self, probe: Probe) -> str | None:
        """Data URL of the picture that was asked about; None if there was none, or is not known."""
        view = self._view(probe)
        if view is None or not self.knows(probe):
            return None
        return self._picture(self._cases[probe.text_only][probe.case], view)

    def of_edit(self, fired: Fired) -> tuple[str | None, str, str] | None:
        """Picture, question and target of the edit that fired; None if it is not known."""
        case = self._cases[fired.text_only].get(fired.case)
        if case is None:
            return None
        return self._picture(case, "edit"), question_of(case, "edit"), case.target

    @staticmethod
    def _view(probe: Probe) -> str | None:
        return (TEXT_VIEW_OF if probe.text_only else VIEW_OF).get(probe.metric)

    def _picture(self, case: Any, view: str) -> str | None:
        try:
            image, _ = views_of(case, (view,))[0]
        except (LiveEditError, OSError) as error:
            self.problem = str(error)
            _logger.warning("no picture: %s", error)
            return None
        return None if image is None else data_url(image)


def data_url(image: Image.Image) -> str:
    """A picture as a page carries it, scaled down."""
    small = image.convert("RGB")
    small.thumbnail((_SIDE, _SIDE), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    small.save(encoded, format="WEBP", quality=80, method=4)
    return f"data:image/webp;base64,{base64.b64encode(encoded.getvalue()).decode('ascii')}"
