"""``liveedit calibrate``: an editor for a model that nobody trained one for, in minutes.

A few questions about some tens of pictures are put to the frozen model. From its states come the
scale, the directions by which pictures and questions are told apart (closed form), and the margins
of the router; an expert is the memory of its target's tokens, refined when a correction is made.
States are pooled as they come, so that memory is bounded by the model and one small batch.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.backbones.query import Query
from liveedit.backbones.shared_prefix import states_by_picture
from liveedit.config import Config
from liveedit.correction.images import image_identity
from liveedit.data.views import views_of
from liveedit.errors import CannotCalibrate
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.features import RoutingFeatures
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import (
    Representation,
    StateScale,
    measure_scale,
    standardise,
)
from liveedit.methods.liveedit.whitened import PooledStates, WhitenedStates
from liveedit.training.calibration import RECALLED, Calibration, Compared, choose_margins
from liveedit.training.data import Pictured, TrainingData
from liveedit.training.whitening import discriminants

SEEN = ("edit", "rephrase", "redrawn", "other image", "other question", "free words")
HELD = (*SEEN, "elsewhere")
_ROWS = 8  # questions that are put to the model together: what they share is kept for each
_CASES = 8  # corrections whose questions are sorted by picture; by the first the scale is measured
# what cosines are multiplied with: margins of the router are searched in these units
_VISION_SCALE, _PROMPT_SCALE = 9.0, 20.0
_SURE = 6.0  # what a question scores with itself at least, twice the largest margin


class CalibrationSettings(Config):
    """Settings of a calibration.

    Args:
        corrections: Drawn corrections that directions are found on.
        validation: Others that margins are chosen on.
        directions: Width of a routing feature.
        shrinkage: How far scatter within a class is drawn towards being the same in all directions.
        silence: Least share of the queries that no edit concerns that should fire none, on the
            others.
        seed: Of what is drawn at random.
    """

    corrections: int = 80
    validation: int = 80
    directions: int = 128
    shrinkage: float = 0.5
    silence: float = 0.95
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class CalibratedEditor:
    """What came of it.

    Args:
        network: The editor.
        margins: Of its router, and what fires on the corrections they were chosen on.
        backbone: The model, at the edit layer that it is for.
    """

    network: EditorNetwork
    margins: Calibration
    backbone: Backbone

    @property
    def recall(self) -> float:
        """Mean share of the queries for which the right edit fires, all in force."""
        fired = self.margins.fired[max(self.margins.fired)]
        recalled = [share for name, share in fired.items() if name in RECALLED]
        return sum(recalled) / len(recalled)


def best_of_layers(
    backbones: Sequence[Backbone], data: TrainingData, settings: CalibrationSettings
) -> CalibratedEditor:
    """Calibrate for each of several edit layers; the one that recalls most is kept.

    Args:
        backbones: One model at the layers to try; see
            :func:`liveedit.backbones.at_layer.at_layer`.
        data: See :func:`calibrate_editor`.
        settings: See :func:`calibrate_editor`.

    Raises:
        CannotCalibrate: See :func:`calibrate_editor`.
    """
    return max(
        (calibrate_editor(one, data, settings) for one in backbones), key=lambda one: one.recall
    )


@torch.no_grad()
def calibrate_editor(
    backbone: Backbone, data: TrainingData, settings: CalibrationSettings
) -> CalibratedEditor:
    """Make an editor from the frozen model's states; nothing is trained.

    Args:
        backbone: The model.
        data: Corrections to find directions on, and others to choose margins on.
        settings: Settings.

    Raises:
        CannotCalibrate: The model makes the same of all pictures, or of all questions.
    """
    torch.manual_seed(settings.seed)
    config = EditorConfig(
        calibrated=True,
        width=min(settings.directions, backbone.width),
        vectors=1,
        rank=0,
        text_router=False,
        subject_filter=False,
    )
    network = EditorNetwork(config, backbone.width).to(backbone.edit_device).eval()
    first = _computed(backbone, data.cases[:_CASES], SEEN)
    network.set_scale(_scale(first))
    with tqdm(total=len(data.cases) + len(data.held), desc="states", unit="correction") as bar:
        seen = _pooled_views(backbone, network.scale, data.cases, SEEN, bar, first)
        held = _pooled_views(backbone, network.scale, data.held, HELD, bar)
    extractor = network.extractor
    assert isinstance(extractor, WhitenedStates)
    _whiten(extractor, seen, data.cases, settings)
    features = {name: extractor.features(held[name]) for name in HELD}
    _set_scales(network, features)
    edits = features["edit"]
    alike: Compared = {
        name: network.router.similarities(some, edits) for name, some in features.items()
    }
    # a picture that comes back is told by its pixels, whatever the states say of it
    margins = choose_margins(
        network.router, alike, silence=settings.silence, picture_margins=(0.0,)
    )
    return CalibratedEditor(network=network, margins=margins, backbone=backbone)


def _pooled_views(
    backbone: Backbone,
    scale: StateScale,
    cases: Sequence[Pictured],
    names: Sequence[str],
    bar: tqdm,
    first: Sequence[_Computed] | None = None,
) -> dict[str, PooledStates]:
    """Pooled states of some views of corrections, a row for each correction.

    Args:
        backbone: The frozen model.
        scale: Its scale at the edit layer.
        cases: The corrections.
        names: The views.
        bar: Told of every correction that is done.
        first: States of the first corrections, if they are there already.
    """
    parts = []
    for start in range(0, len(cases), _CASES):
        some = cases[start : start + _CASES]
        computed = first if first and not start else _computed(backbone, some, names)
        parts.append(_pooled(computed, scale))
        bar.update(len(some))
    joined = PooledStates.join(parts)
    rows = torch.arange(len(cases)) * len(names)
    return {name: joined.take(rows + at) for at, name in enumerate(names)}


def _set_scales(network: EditorNetwork, features: Mapping[str, RoutingFeatures]) -> None:
    """Put the router's thresholds amid what should fire and what should not.

    Args:
        network: Its router is changed; the margins are chosen around these.
        features: Of the views of the corrections that margins are chosen on.
    """
    router, asked = network.router, features["edit"].prompt
    same, other = (
        (asked * features[name].prompt).sum(1).mean() for name in ("rephrase", "other question")
    )
    middle = (same + other) / 2
    # where a model tells questions apart by little, the very same one must exceed every margin
    scale = (_SURE / (1 - middle).clamp(min=1e-3)).clamp(min=_PROMPT_SCALE)
    router.vision_scale.fill_(_VISION_SCALE)
    router.prompt_scale.copy_(scale)
    router.prompt_bias.copy_(-scale * middle)


@dataclass(frozen=True, kw_only=True)
class _Computed:
    """States of some questions.

    Args:
        rows: Where they stand among all that were asked with them.
        query: The questions.
        states: What leaves the edit layer.
    """

    rows: Sequence[int]
    query: Query
    states: Float[Tensor, "batch length width"]


def _computed(
    backbone: Backbone, cases: Sequence[Pictured], names: Sequence[str]
) -> list[_Computed]:
    """States of the views of some corrections, those of a picture together."""
    asked = [view for case in cases for view in views_of(case, names)]
    shown = [None if picture is None else image_identity(picture) for picture, _ in asked]
    order = sorted(range(len(asked)), key=lambda at: shown.index(shown[at]))
    found = []
    for start in range(0, len(asked), _ROWS):
        rows = order[start : start + _ROWS]
        pictures, questions = zip(*(asked[row] for row in rows), strict=True)
        query, states = states_by_picture(backbone, pictures, questions)
        found.append(_Computed(rows=rows, query=query, states=states))
    return found


def _scale(computed: Sequence[_Computed]) -> StateScale:
    """The backbone's scale, by a few questions."""
    return measure_scale(
        torch.cat([one.states[one.query.attention_mask.bool()] for one in computed])
    )


def _pooled(computed: Sequence[_Computed], scale: StateScale) -> PooledStates:
    """In the order in which they were asked."""
    parts = [
        PooledStates.of(
            Representation(states=standardise(one.states, scale), spans=one.query.spans)
        )
        for one in computed
    ]
    order = torch.tensor([row for one in computed for row in one.rows])
    return PooledStates.join(parts).take(order.argsort())


def _whiten(
    extractor: WhitenedStates,
    seen: Mapping[str, PooledStates],
    cases: Sequence[Pictured],
    settings: CalibrationSettings,
) -> None:
    """Find the directions of pictures and questions.

    Raises:
        CannotCalibrate: The states of one of them are all alike.
    """
    shown = [_shown(case, name) for name in SEEN for case in cases]
    asked = [_asked(case, name) for name in SEEN for case in cases]
    for what, whitening, classes, vectors in (
        ("picture", extractor.picture, shown, [seen[name].picture for name in SEEN]),
        ("question", extractor.question, asked, [seen[name].question for name in SEEN]),
    ):
        try:
            found = discriminants(
                torch.cat(vectors),
                classes,
                directions=whitening.directions.shape[1],
                shrinkage=settings.shrinkage,
            )
        except ValueError as error:
            raise CannotCalibrate(
                f"the model makes the same of every {what} at the edit layer; give other {what}s, "
                "or another --edit-layer"
            ) from error
        whitening.set(*found)


def _shown(case: Pictured, name: str) -> Hashable:
    """What the picture of a view shows: views that show the same are to be taken for the same."""
    scene = case.strict_scene if name == "other image" else case.scene
    return tuple(sorted(scene.concepts))


def _asked(case: Pictured, name: str) -> Hashable:
    """What a view asks."""
    question = case.strict_question if name == "other question" else case.question
    return question.meaning
