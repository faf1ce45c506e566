"""What editing costs on a GPU, with models of true size and random weights; nothing is fetched.

    python benchmarks/gpu.py --out results/gpu            # some seven minutes on one 80 GB card
    python benchmarks/gpu.py --out /tmp/gpu --tiny        # a trial on the CPU, in seconds
    python benchmarks/gpu.py --out results/nf4 --quantise bitsandbytes-nf4

LLaVA-1.5-7B and Qwen2.5-VL-7B have their true shapes, random bfloat16 weights and a token for every
byte of text; the editor is untrained. Answers are therefore noise, and an edit that may be refined
usually takes all the steps it is given: what is measured is time, memory, and whether routing
agrees with that on a CPU. The router's thresholds are set such that a correction's own edit fires,
and few others do. Pictures are figures drawn with Pillow.

- Answers: time of the edited over the unedited model, medians of rounds in which both take turns.
  Prefill is a question about a picture whose image tokens are known, up to the first token; decode
  is each further token. The first edits are real, the others drawn to resemble them.
- Edits: seconds an edit, its picture never seen before, verified, with refinement and without.
- Training: steps of both recipes on cached states; text-only corrections are left out.
- Calibration: an editor from fifty pictures with two questions each, files read to margins chosen.
- Rebasing: corrections of a store made anew by an editor that refines them, question by question.
- Routing: decisions and weights on the device against float32 on the CPU.

Results are in OUT/gpu.json and OUT/gpu.md, written anew after every phase. Phases that the time no
longer suffices for are skipped; those that fail are listed with their error, and the exit status
is 1.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import gpu_training
import torch
import transformers
from gpu_calibration import calibration
from gpu_measures import agreement, answers, edits
from gpu_models import Plan, Subject, prepare
from gpu_quantised import KINDS
from gpu_rebase import rebasing
from gpu_report import markdown
from random_models import SIZES
from transformers.utils import logging as transformers_logging

import liveedit
from liveedit.saving.files import write_whole

logger = logging.getLogger("gpu")
_MODELS = ("llava-1.5-7b", "qwen2.5-vl-7b")
# seconds that a phase may take on one H100: with less left it is not begun
_NEEDED = {"model": 30, "edits": 40, "answers": 25, "routing": 15, "states": 30, "training": 25,
    "calibration": 60, "rebasing": 40,
}  # fmt: skip


class Report:
    """Phases and what they found, on disk after each.

    Args:
        folder: Where to; made if missing.
        device: What is measured.
        minutes: For everything, from now on.
        tiny: Whether this is a trial, whose phases take no time worth mention.
    """

    def __init__(self, folder: Path, device: torch.device, *, minutes: float, tiny: bool) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._device, self._tiny = folder, device, tiny
        self._end = time.perf_counter() + 60 * minutes
        cuda = device.type == "cuda"
        self.found: dict[str, object] = {
            "device": torch.cuda.get_device_name(device) if cuda else "CPU",
            "tiny": tiny,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "liveedit": liveedit.__version__,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "float32_products": torch.get_float32_matmul_precision(),
        }
        self.models: dict[str, dict[str, object]] = {}
        self.phases: list[dict[str, object]] = []
        self.skipped: list[dict[str, str]] = []
        self.failed: list[dict[str, str]] = []
        self.write()

    def phase(self, model: str, kind: str, name: str, work: Callable[[], object]) -> object:
        """What a phase finds; None if it is skipped or fails."""
        left = self._end - time.perf_counter()
        told = {"model": model, "phase": name}
        if left < (0 if self._tiny else _NEEDED[kind]):
            logger.info("%s, %s: skipped, %.0f seconds are left", model, name, left)
            self.skipped.append(told)
            self.write()
            return None
        logger.info("%s, %s: %.0f seconds are left", model, name, left)
        gc.collect()  # models are parts of cycles
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self._device)
        began, found = time.perf_counter(), None
        try:
            found = work()
        except Exception as error:  # the other phases are worth having
            logger.exception("%s, %s failed", model, name)
            self.failed.append(told | {"error": f"{type(error).__name__}: {error}"[:500]})
        seconds = time.perf_counter() - began
        self.phases.append({**told, "seconds": seconds, "peak_bytes": self._peak()})
        return found

    def _peak(self) -> int:
        if self._device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._device)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def all(self) -> dict[str, object]:
        """Everything so far."""
        return {
            **self.found,
            "models": self.models,
            "phases": self.phases,
            "skipped": self.skipped,
            "failed": self.failed,
        }

    def write(self) -> None:
        """Put everything so far on disk."""
        write_whole(self._folder / "gpu.json", json.dumps(self.all(), indent=2) + "\n")
        write_whole(self._folder / "gpu.md", markdown(self.all()))


def measure(name: str, plan: Plan, report: Report) -> None:
    """All phases of one model."""
    subject = report.phase(name, "model", "model", lambda: prepare(name, plan))
    if not isinstance(subject, Subject):
        report.write()
        return
    found = report.models[name] = subject.described()
    report.write()
    for kind, phase, key, work in _phases(subject):
        result = report.phase(name, kind, phase, work)
        if isinstance(result, list):
            found[key] = [*found.get(key, []), *result]  # type: ignore[misc]
        elif isinstance(result, dict):
            found[key] = result
        report.write()


def _phases(
    subject: Subject,
) -> Iterator[tuple[str, str, str, Callable[[], object]]]:
    """Kind of each phase, its name, what its result is called, and what it does."""
    yield "edits", "edits", "edits", lambda: edits(subject)
    for size in subject.plan.pools:
        yield "answers", f"answers, {size:,} edits", "answers", partial(answers, subject, size)
        if size == subject.plan.compared:
            yield "routing", "routing, CPU", "agreement", lambda: agreement(subject)
    subject.forget_drawn()
    yield "rebasing", "rebasing", "rebasing", lambda: rebasing(subject)
    calibrated = partial(calibration, subject.backbone, subject.plan)
    yield "calibration", "calibration", "calibration", calibrated
    taught: list[gpu_training.Taught] = []

    def read() -> None:
        taught.append(gpu_training.read(subject.backbone, subject.plan))

    yield "states", "training, states", "", read
    for recipe in (gpu_training.ours, gpu_training.published):
        for known in taught:
            name = recipe.__name__
            yield "training", f"training, {name}", name, partial(recipe, subject, known)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything")
    parser.add_argument("--models", nargs="+", choices=list(SIZES), default=list(_MODELS))
    parser.add_argument("--quantise", choices=KINDS, help="the decoder's weights")
    parser.add_argument("--tiny", action="store_true", help="tiny models, to try the script")
    parser.add_argument("--device", help="cuda by default; cpu with --tiny")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    transformers_logging.set_verbosity_error()
    device = torch.device(options.device or ("cpu" if options.tiny else "cuda"))
    if device.type == "cuda" and not torch.cuda.is_available():
        parser.error("no GPU is to be seen; --tiny tries the script on the CPU")
    plan = Plan.tiny(device) if options.tiny else Plan(device=device)
    plan = replace(plan, quantised=options.quantise)
    report = Report(options.out, device, minutes=options.minutes, tiny=options.tiny)
    for name in options.models:
        measure(name, plan, report)
    print(json.dumps(report.all()) if options.json else markdown(report.all()))
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
