"""What ``gpu.py`` measures of carrying a store over to another editor."""

from __future__ import annotations

import tempfile
from pathlib import Path

from gpu_models import Subject, editing

from liveedit.editor import EditedModel
from liveedit.editor.rebase import rebase
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.store.log import EditLog


def rebasing(subject: Subject) -> dict[str, float]:
    """Seconds to make the corrections of a store anew, from the pictures that it keeps.

    The new editor is the same network, allowed to refine: the costliest there is.
    """
    plan, some = subject.plan, subject.corrections[: subject.plan.rebased]
    with tempfile.TemporaryDirectory() as folder:
        old, new = Path(folder) / "old.db", Path(folder) / "new.db"
        before = EditedModel(
            LiveEdit(subject.backbone, subject.network, editing(refine_steps=0)), store=old
        )
        before.edit_many(some, batch=max(plan.edit_batches), keep=True)
        after = EditedModel(LiveEdit(subject.backbone, subject.network, editing()), store=new)
        subject.backbone.forget_images()
        log = EditLog(old)
        reports = []
        seconds = plan.timed(
            lambda: reports.append(rebase(log, after, batch=max(plan.edit_batches)))
        )
    return {
        "corrections": len(some),
        "made": len(reports[0].made),
        "right": len(reports[0].right),
        "not_reached": len(reports[0].not_reached),
        "seconds": seconds,
    }
