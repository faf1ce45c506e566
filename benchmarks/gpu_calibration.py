"""What ``gpu.py`` measures of calibration: an editor from some tens of pictures and questions."""

from __future__ import annotations

import tempfile
from pathlib import Path

from gpu_models import Plan
from own_pictures import own_pictures

from liveedit.backbones.base import Backbone
from liveedit.training.calibrated_editor import CalibrationSettings, calibrate_editor
from liveedit.training.calibration_data import calibration_data


def calibration(backbone: Backbone, plan: Plan) -> dict[str, float]:
    """Seconds it takes, pictures read and model loaded, and questions that were put to it."""
    settings = CalibrationSettings()
    with tempfile.TemporaryDirectory() as folder:
        file = own_pictures(Path(folder), plan.own_pictures, plan.picture)
        data = calibration_data(
            file, corrections=settings.corrections, validation=settings.validation
        )
        backbone.forget_images()
        seconds = plan.timed(lambda: calibrate_editor(backbone, data, settings))
    return {
        "pictures": plan.own_pictures,
        "corrections": len(data.cases),
        "validation": len(data.held),
        "seconds": seconds,
    }
