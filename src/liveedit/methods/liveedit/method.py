"""LiveEdit behind the contract of an editing method (CVPR 2025, arXiv 2411.15432)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from liveedit.backbones.base import Backbone
from liveedit.backbones.query import Query, Questions
from liveedit.backbones.spans import Spans
from liveedit.config import Config
from liveedit.correction import Correction
from liveedit.correction.images import Pictures
from liveedit.errors import BadCheckpoint
from liveedit.methods.base import Abilities, TellRoute
from liveedit.methods.liveedit.checkpoint import editor_digest, load_editor, save_editor
from liveedit.methods.liveedit.config import EditorConfig, LiveEditConfig
from liveedit.methods.liveedit.context import answer_share
from liveedit.methods.liveedit.edit import make_edits
from liveedit.methods.liveedit.features import QueryInputs, RoutingFeatures
from liveedit.methods.liveedit.messages import Lines, lines_of
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import Representation, StateScale, standardise
from liveedit.methods.liveedit.residual import RoutedExperts, edited_layer
from liveedit.methods.liveedit.selection import choose_experts, fetch_from, route_in, route_messages
from liveedit.methods.liveedit.tensors import layout_of
from liveedit.methods.outcome import NewEdits, Supersede
from liveedit.methods.route import Route
from liveedit.methods.shared.sentence_encoder import require_sentence_encoder
from liveedit.methods.shared.undamaged import with_undamaged
from liveedit.methods.states import StateMethod
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.pool import Pool

_CALIBRATED = (
    "The editor is calibrated, not trained: it takes no correction without a picture, and misses "
    "another picture of the same thing, or a question in free words, more often. `liveedit train` "
    "makes one that takes them."
)


@dataclass(frozen=True, kw_only=True)
class ExpertChange:
    """The residual of the experts that the rows of a batch are routed to."""

    routed: RoutedExperts
    scale: StateScale
    context: float

    @property
    def concerned(self) -> Bool[Tensor, " batch"]:
        """Rows that anything is added to."""
        return (self.routed.weights != 0).any(1)

    def take(self, rows: Int[Tensor, " some"]) -> ExpertChange:
        """Some rows."""
        return replace(self, routed=self.routed.rows(rows))

    def digest(self, row: int) -> bytes:
        """What is added to a row; padding does not matter."""
        return self.routed.digest(row)

    def add_to(
        self, states: Float[Tensor, "batch length width"], spans: Spans
    ) -> Float[Tensor, "batch length width"]:
        """Edited states; rows that are not concerned stay bit-identical."""
        return self.routed.add_to(states, self.scale, answer_share(spans, self.context))


_OF_THE_EDITOR = ("same_question", "sentence_encoder")  # its own, unless they are given


class LiveEdit(StateMethod[RoutingFeatures, ExpertChange]):
    """LiveEdit with a trained editor.

    Args:
        backbone: The frozen model.
        network: An editor trained for it.
        config: What happens when a correction is made.
    """

    name = "liveedit"
    config_class = LiveEditConfig
    config: LiveEditConfig

    def __init__(
        self, backbone: Backbone, network: EditorNetwork, config: LiveEditConfig | None = None
    ) -> None:
        config = config or LiveEditConfig()
        chosen = {
            name: getattr(network.config, name)
            for name in _OF_THE_EDITOR
            if getattr(config, name) is None
        }
        config = config.model_copy(update=chosen)
        super().__init__(backbone, config)
        self.network = network.to(backbone.edit_device).eval()
        if config.sentence_encoder:
            require_sentence_encoder()

    @property
    def settings(self) -> dict[str, object]:
        """What was chosen otherwise than by default or by the editor."""
        return {
            name: value
            for name, value in super().settings.items()
            if name not in _OF_THE_EDITOR or value != getattr(self.network.config, name)
        }

    @classmethod
    def load(
        cls, backbone: Backbone, folder: Path | None = None, config: Config | None = None
    ) -> LiveEdit:
        """Read an editor; by default the one that is shipped for the backbone.

        Raises:
            BadCheckpoint: There is none, or it is damaged.
            BackboneMismatch: It was trained for another backbone or layer.
        """
        folder = folder or backbone.editors.get(cls.name)
        if folder is None:
            raise BadCheckpoint(
                f"there is no editor for {backbone.name}: make one in minutes with `liveedit "
                f"calibrate --model {backbone.source} --out OUT`, or a better one in hours with "
                "`liveedit train` and the same options, and give OUT/editor"
            )
        assert config is None or isinstance(config, LiveEditConfig)
        return cls(backbone, load_editor(folder, backbone.fingerprint()), config)

    def save(self, folder: Path, fingerprint: Mapping[str, object] | None = None) -> None:
        """Write the editor."""
        save_editor(self.network, fingerprint or self.backbone.fingerprint(), folder)

    @property
    def abilities(self) -> Abilities:
        """Text-only corrections need the text router."""
        return Abilities(
            text_only=self.network.config.text_router, several_pictures=True, trained=True
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """What a trained editor would add to a calibrated one."""
        return (_CALIBRATED,) if self.network.config.calibrated else ()

    @property
    def layout(self) -> Layout:
        """Keys are routing features, values are experts."""
        return layout_of(self.network.config, self.network.state_width)

    @classmethod
    def default_layout(cls, backbone: Backbone) -> Layout:
        """That of an editor with the default settings."""
        return layout_of(EditorConfig(), backbone.width)

    @property
    def learned(self) -> dict[str, object]:
        """Digest of the editor."""
        return {"editor": editor_digest(self.network)}

    def describe(self) -> dict[str, Any]:
        """Architecture, and what happens when a correction is made."""
        return {"editor": self.network.config.model_dump(), "editing": self.config.model_dump()}

    def edit(
        self,
        edits: Sequence[Edit],
        corrections: Sequence[Correction],
        store: Store,
        supersede: Supersede | None = None,
    ) -> NewEdits:
        """Generate an expert for each correction, verify it, and refine it where it falls short.

        Raises:
            TextOnlyCorrection: One has no picture, and the editor has no text router.
            DamagedEdit: One of the store that concerns them is; it is left out from now on.
        """
        config = self.config
        if supersede is not None:
            config = config.model_copy(update={"supersede": supersede})
        return make_edits(self.backbone, self.network, store, edits, corrections, config)

    @torch.no_grad()
    def route(self, questions: Questions, pool: Pool) -> tuple[Route, Pool]:
        """Hard filter by what the picture shows, soft weights by what is asked."""
        return self._route(
            self.backbone.query(questions.pictures, questions.prompts), questions, pool
        )

    def _route(
        self,
        query: Query,
        questions: Questions,
        pool: Pool,
        length: Int[Tensor, " batch"] | None = None,
    ) -> tuple[Route, Pool]:
        """Route questions that are tokenised already; what precedes them adds to their length."""
        features = self.seeing(
            self.features(self.backbone.states(query), query.spans),
            questions.pictures.__getitem__,
            questions.prompts.__getitem__,
        )
        if length is not None:
            features = replace(features, length=length)
        return route_messages(self.network.router, features, pool, self._lines(questions, pool))

    def _lines(self, questions: Questions, pool: Pool) -> Lines | None:
        """Lines of the messages that have several, as if they had been asked alone."""
        if not self.network.config.by_line or not pool.eligible.any():
            return None
        found = lines_of(questions)
        if found is None:
            return None
        lines, owners = found
        query = self.backbone.query(lines.pictures, lines.prompts)
        features = self.features(self.backbone.states(query), query.spans)
        owner = torch.tensor(owners, device=features.sees.device)
        return Lines(features=features, owner=owner, questions=lines.prompts)

    @contextmanager
    def apply(
        self, questions: Questions, pool: Pool, tell: TellRoute | None = None
    ) -> Iterator[Query]:
        """Add the experts that are routed to, from the prefill's own states."""
        query = self.backbone.query(
            questions.pictures,
            questions.prompts,
            questions.targets,
            histories=questions.histories,
        )
        if questions.histories is None:
            with torch.no_grad():
                lines = self._lines(questions, pool)
            with self.applied(query, pool, questions, lines, tell):
                yield query
            return
        # what precedes a question changes the states that would be routed by: the question decides
        # as if it were asked alone
        alone = questions.alone
        asked = self.backbone.query(alone.pictures, alone.prompts)
        length = query.spans.prompt.sum(1)

        def decide(left: Pool) -> ExpertChange | None:
            route, near = self._route(asked, alone, left, length)
            change = self.change(route, near)
            if tell is not None:
                tell(route, near)
            return change

        with torch.no_grad():
            change = with_undamaged(pool, decide)
        with self.changing(query, change):
            yield query

    def applied(
        self,
        query: Query,
        pool: Pool,
        questions: Questions | None = None,
        lines: Lines | None = None,
        tell: TellRoute | None = None,
    ) -> AbstractContextManager[None]:
        """The same for a query that is tokenised already.

        Args:
            query: A batch.
            pool: The edits.
            questions: Those of the rows: of look-alikes the very picture wins, and words are
                compared where the editor has them compared.
            lines: Of the messages that have several.
            tell: Is given the route.
        """

        def choose(representation: Representation) -> RoutedExperts | None:
            features = self.network.extractor(representation)
            if questions is not None:
                features = self.seeing(
                    features, questions.pictures.__getitem__, questions.prompts.__getitem__
                )
            return with_undamaged(
                pool,
                lambda left: (
                    choose_experts(self.network.router, features, left, lines, tell)
                    if left.eligible.any()
                    else None
                ),
            )

        hook, network = self.backbone.hook, self.network
        context = network.router.context
        return edited_layer(hook, query.spans, network.scale, choose, context=context)

    def features(
        self, states: Float[Tensor, "batch length width"], spans: Spans
    ) -> RoutingFeatures:
        """Input-side routing features."""
        states = standardise(states, self.network.scale)
        return self.network.extractor(Representation(states=states, spans=spans))

    def seeing(
        self,
        features: RoutingFeatures,
        picture_of: Callable[[int], Pictures],
        question_of: Callable[[int], str],
    ) -> RoutingFeatures:
        """Features with the pictures of their rows, and the questions if words are compared."""
        rows = range(len(features.sees))
        questions = question_of if self.config.sentence_encoder else None
        return replace(features, inputs=QueryInputs(picture_of, rows, questions))

    def join(self, parts: Sequence[RoutingFeatures]) -> RoutingFeatures:
        """Features of several batches as one."""
        return RoutingFeatures.join(parts)

    def route_features(self, features: RoutingFeatures, pool: Pool) -> Route:
        """Scores of every edit of the pool."""
        return route_in(self.network.router, features, pool)

    def change(self, route: Route, pool: Pool) -> ExpertChange | None:
        """The experts with a weight, and no others, are read from the store."""
        routed = fetch_from(route.weights, pool)
        if routed is None:
            return None
        network = self.network
        return ExpertChange(routed=routed, scale=network.scale, context=network.router.context)

    def changing(self, query: Query, change: ExpertChange | None) -> AbstractContextManager[None]:
        """The same route whatever the prefill's states are."""
        if change is None:
            return nullcontext()
        return edited_layer(
            self.backbone.hook,
            query.spans,
            change.scale,
            lambda _: change.routed,
            context=change.context,
        )


METHOD = LiveEdit
