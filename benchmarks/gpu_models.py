"""The models that ``gpu.py`` measures: true sizes, random weights, an untrained editor."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch
from gpu_quantised import Quantisation, quantise
from PIL import Image, ImageDraw
from random_models import SIZES, free_memory, parts, random_model
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from liveedit.backbones.base import Backbone
from liveedit.backbones.precision import fast_dtype
from liveedit.backbones.query import Query
from liveedit.backbones.registry import backbone_class
from liveedit.correction import Correction
from liveedit.data.emoji_edit.corrections import training_cases
from liveedit.data.emoji_edit.scene import Placement, Scene, render
from liveedit.editor import EditedModel
from liveedit.methods.liveedit.config import EditorConfig, LiveEditConfig
from liveedit.methods.liveedit.features import EditFeatures, RoutingFeatures
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import Representation, measure_scale, standardise
from liveedit.methods.liveedit.tensors import features_of as keys_as_features
from liveedit.methods.liveedit.tensors import keys_of
from liveedit.store.edit import Edit
from liveedit.store.pool import Pool

_CHUNK = 8192  # edits that are drawn at a time
_SPARE = 10 * 2**30  # bytes of memory that the pool leaves free
Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured, on what.

    Args:
        device: Where.
        narrow: Tiny models, to try the script.
        quantised: How the decoder's weights are quantised; None leaves them as they are.
        picture: Edge of a picture in pixels.
        real: How many edits are made of corrections; the others are drawn.
        pools: Numbers of edits that answers are timed with, ascending.
        batches: Questions at a time.
        rounds: Of a measurement, at most.
        seconds: After so many a measurement has no further round.
        decoded: Tokens after the first one.
        edit_batches: Corrections at a time.
        compared: Edits with which routing is compared with the CPU's; one of ``pools``.
        cached: Corrections whose states training reads.
        router_batch, generator_batch: Corrections of a step of our recipe's two parts.
        published_batch, routing_batch: Corrections that a step of the published training makes
            experts of, and that it learns routing on.
        steps: Of training, for each figure.
        own_pictures: Pictures to calibrate on, with two questions each.
        rebased: Corrections of the store that is carried over.
    """

    device: torch.device
    narrow: bool = False
    quantised: Quantisation | None = None
    picture: int = 448
    real: int = 64
    pools: tuple[int, ...] = (0, 1_000, 10_000, 100_000)
    batches: tuple[int, ...] = (1, 8)
    rounds: int = 9
    seconds: float = 6.0
    decoded: int = 32
    edit_batches: tuple[int, ...] = (1, 16)
    compared: int = 10_000
    cached: int = 128
    router_batch: int = 96
    generator_batch: int = 12
    published_batch: int = 12
    routing_batch: int = 64
    steps: int = 4
    own_pictures: int = 50
    rebased: int = 32

    @staticmethod
    def tiny(device: torch.device) -> Plan:
        """A trial of the script, in seconds on a CPU."""
        return Plan(
            device=device, narrow=True, picture=56, real=8, pools=(0, 10, 100, 1000),
            batches=(1, 2), rounds=2, seconds=0.5, decoded=16, edit_batches=(1, 3), compared=100,
            cached=8, router_batch=4, generator_batch=3, published_batch=2, routing_batch=4,
            steps=1, own_pictures=16, rebased=4,
        )  # fmt: skip

    def timed(self, work: Callable[[], object]) -> float:
        """Seconds, until the device is done."""
        self._wait()
        began = time.perf_counter()
        work()
        self._wait()
        return time.perf_counter() - began

    def _wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def fitting(self, measure: Callable[[int], Result], batch: int) -> Result:
        """A measurement of the largest batch that memory suffices for: this one, half of it, ..."""
        while True:
            try:
                return measure(batch)
            except torch.OutOfMemoryError:
                if batch == 1:
                    raise
            batch //= 2
            torch.cuda.empty_cache()

    def room(self) -> int:
        """Bytes of memory that the pool may still take."""
        if self.device.type != "cuda":
            return free_memory() - _SPARE // 10
        free = torch.cuda.mem_get_info(self.device)[0]
        held = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
        return free + held - _SPARE


@dataclass
class Subject:
    """A model of true size, with an untrained editor whose router knows the edits made with it.

    Args:
        plan: How much is measured.
        edited: The model, with its real edits at first.
        corrections: What they are made of.
        made: The real edits.
    """

    plan: Plan
    edited: EditedModel
    corrections: list[Correction]
    made: Pool

    @property
    def backbone(self) -> Backbone:
        return self.edited.backbone

    @property
    def network(self) -> EditorNetwork:
        method = self.edited.method
        assert isinstance(method, LiveEdit)
        return method.network

    @property
    def bytes_an_edit(self) -> int:
        """That an edit takes in the pool, in the mean."""
        values = [one for tensors in self.made.take(None).values() for one in tensors]
        keys = sum(self.edited.method.layout.keys.values())
        return 4 * keys + sum(one.nbytes for one in values) // len(self.made.ids) + 1

    def without_edits(self) -> EditedModel:
        """The same model with a store of its own."""
        return EditedModel(self.edited.method)

    def forget_drawn(self) -> None:
        """Free the memory of the pool."""
        self.edited = self.without_edits()

    def described(self) -> dict[str, object]:
        """Sizes."""
        return {
            "parameters": _count(self.backbone.model),
            "editor_parameters": _count(self.network),
            "dtype": self.backbone.precision,
            "layers": self.backbone.layers,
            "edit_layer": self.backbone.edit_layer,
            "width": self.backbone.width,
            "image_tokens": len(self.backbone.image_features([self.corrections[0].image])[0]),
            "bytes_an_edit": self.bytes_an_edit,
        }


def _count(module: torch.nn.Module) -> int:
    return sum(one.numel() for one in module.parameters())


def picture(scene: Scene, edge: int) -> Image.Image:
    """A scene with a figure in the place of each drawing, which need not be installed."""
    return render(scene, _figure).resize((edge, edge))


def _figure(placement: Placement) -> Image.Image:
    """The same for the same concept; one artist fills it, the other draws its outline."""
    draw = random.Random(placement.concept)
    image = Image.new("RGBA", (96, 96))
    colour = tuple(draw.randrange(256) for _ in range(3))
    corners, turn = draw.randrange(3, 9), draw.randrange(360)
    filled = {"fill": colour} if placement.drawing == "openmoji" else {"outline": colour}
    ImageDraw.Draw(image).regular_polygon((48, 48, 44), corners, turn, **filled, width=9)  # type: ignore[arg-type]
    return image


@torch.no_grad()
def prepare(name: str, plan: Plan) -> Subject:
    """Build the model on the device, and make the real edits."""
    torch.manual_seed(0)
    size = SIZES[name]
    layers = int((size.narrow if plan.narrow else size.text)["num_hidden_layers"])  # type: ignore[call-overload]
    config, processor = parts(size, narrow=plan.narrow, layers=layers)
    with plan.device:
        model = random_model(config, fast_dtype(plan.device))
    if plan.quantised is not None:
        quantise(model, plan.quantised, plan.device)
    family = backbone_class(size.family)
    edit_layer = family.default_edit_layer(layers)
    backbone = family(model, processor, edit_layer=edit_layer, name=f"random {name}")
    corrections = [
        Correction(
            image=picture(case.scene, plan.picture), prompt=case.question.text, target=case.target
        )
        for case in islice(training_cases(), plan.real)
    ]
    network = EditorNetwork(EditorConfig(), backbone.width)
    some = corrections[: max(plan.batches)]
    query = backbone.query([one.image for one in some], [one.prompt for one in some])
    network.set_scale(measure_scale(backbone.states(query)[query.attention_mask.bool()]))
    edited = EditedModel(LiveEdit(backbone, network, editing(refine_steps=0)))
    edited.edit_many(corrections, batch=max(plan.batches), keep=True)
    subject = Subject(plan=plan, edited=edited, corrections=corrections, made=edited.store.pool())
    _aim(subject)
    return subject


def editing(**changes: int) -> LiveEditConfig:
    """An untrained editor takes all questions for the same: no edit supersedes another."""
    return LiveEditConfig(
        supersede="never", same_question=1.0, same_text=1.0, alike=1.0, alike_text=1.0
    ).model_copy(update=changes)


def _aim(subject: Subject) -> None:
    """Put thresholds half-way between a correction's own edit and the nearest drawn one."""
    router = subject.network.router
    drawn = draw_features(subject, 1000)
    asked = RoutingFeatures.join([features for _, _, features in asked_of(subject)])
    own = router.similarities(asked, keys_as_features(subject.made.keys.whole))
    others = router.similarities(asked, drawn)
    seen = own.vision.diagonal() - own.sentinel[:, 0]
    router.margin.copy_(_between(seen, others.vision - others.sentinel))
    router.prompt_margin.copy_(_between(own.prompt.diagonal(), others.prompt))


def _between(own: Tensor, others: Tensor) -> Tensor:
    return torch.minimum((own.min() + others.max()) / 2, own.min() - 1e-3)


def asked_of(subject: Subject) -> list[tuple[Query, Tensor, RoutingFeatures]]:
    """The corrections' questions, their states and features, batch by batch."""
    found, step = [], max(subject.plan.batches)
    for start in range(0, len(subject.corrections), step):
        some = subject.corrections[start : start + step]
        query = subject.backbone.query([one.image for one in some], [one.prompt for one in some])
        states = subject.backbone.states(query)
        found.append((query, states, features_of(subject.network, query, states)))
    return found


def features_of(network: EditorNetwork, query: Query, states: Tensor) -> RoutingFeatures:
    """Input-side features, computed where the network and the states are."""
    spans = query.spans.to(states.device)
    whole = Representation(states=standardise(states, network.scale), spans=spans)
    return network.extractor(whole)


def draw_features(subject: Subject, count: int) -> EditFeatures:
    """Features with the mean and spread of the real edits'."""
    known = keys_as_features(subject.made.keys.whole)
    vectors = subject.network.config.vectors

    def drawn(like: Tensor) -> Tensor:
        noise = torch.randn(count, like.shape[1], device=like.device)
        rows = (like.mean(0) + like.std(0) * noise).unflatten(1, (vectors, -1))
        return F.normalize(rows, dim=-1).flatten(1) / vectors**0.5

    return EditFeatures(
        vision=drawn(known.vision),
        prompt=drawn(known.prompt),
        sees=torch.ones(count, dtype=torch.bool, device=known.sees.device),
    )


@torch.no_grad()
def fill(subject: Subject, size: int) -> int:
    """Add drawn edits until there are so many or memory is at its end; how many there are then."""
    store, real = subject.edited.store, subject.made.take(None)
    with tqdm(total=size, desc="drawn edits", unit="edit", leave=False) as bar:
        while True:
            held = len(store.pool().ids)
            bar.update(held - bar.n)
            # while a chunk is written it is there twice
            count = min(size - held, _CHUNK, subject.plan.room() // (2 * subject.bytes_an_edit))
            if count <= 0:
                return held
            rows = torch.randint(len(real["u"]), (count,)).tolist()
            store.add(
                [Edit(prompt="drawn", target="drawn", image="drawn") for _ in range(count)],
                keys_of(draw_features(subject, count)),
                {name: [values[row].clone() for row in rows] for name, values in real.items()},
            )
