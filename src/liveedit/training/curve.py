"""The validation curve of a loop, and the weights that were best on it."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from liveedit.saving.files import whole, write_whole

logger = logging.getLogger(__name__)

MERIT = "merit"  # the higher, the better; by it the best weights are chosen
VALIDATION, BEST = "validation.jsonl", "best.safetensors"
_STEP = "number of steps"

Validation = Callable[[], Mapping[str, float]]


class Curve:
    """Figures on validation corrections by step, in ``validation.jsonl``.

    Started again after a kill it goes on: what was written after the last checkpoint is dropped,
    and comes again.

    Args:
        folder: Of the loop.
        trained: What is updated, by name.
        first: Steps that are done.
    """

    def __init__(self, folder: Path, trained: Mapping[str, nn.Parameter], first: int) -> None:
        self.folder, self.trained = folder, trained
        self.rows = [row for row in read_curve(folder / VALIDATION) if (row["step"] or 0) <= first]

    def add(self, step: int, found: Mapping[str, float]) -> None:
        """Write figures; weights that are better than all before are kept."""
        finite = {name: value if math.isfinite(value) else None for name, value in found.items()}
        before = [known for row in self.rows if (known := row.get(MERIT)) is not None]
        merit = finite.get(MERIT)
        if merit is not None and merit > max(before, default=-math.inf):
            tensors = {name: value.detach().contiguous() for name, value in self.trained.items()}
            tensors[_STEP] = torch.tensor(step)
            with whole(self.folder / BEST) as part:
                save_file(tensors, part)
        self.rows.append({"step": step, **finite})
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_whole(self.folder / VALIDATION, lines)

    def load_best(self) -> None:
        """Put the best weights in the place of the last ones."""
        path = self.folder / BEST
        if not path.exists():  # nothing was ever better than nothing
            return
        tensors = load_file(path)
        for name, value in self.trained.items():
            value.data.copy_(tensors[name])
        logger.info("%s: the weights of step %d are the best", self.folder.name, tensors[_STEP])


def read_curve(file: Path) -> list[dict[str, float | None]]:
    """What a log says, row by row, None for what is no number; nothing where there is no log."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
