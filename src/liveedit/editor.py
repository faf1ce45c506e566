"""EditedModel: a vision-language model that takes corrections, and gives them up again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import torch
from jaxtyping import Float
from torch import Tensor
from tqdm import tqdm

from liveedit.backbones.base import Backbone, Pictures, Query
from liveedit.backbones.registry import load_backbone
from liveedit.correction import Correction, ImageSource, checked_text, open_image
from liveedit.errors import DamagedEdit, PastRevision
from liveedit.methods.liveedit.checkpoint import load_editor, shipped_editor
from liveedit.methods.liveedit.config import EditingConfig
from liveedit.methods.liveedit.edit import EditOutcome, make_edits
from liveedit.methods.liveedit.identity import identity_of
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import Representation, standardise
from liveedit.methods.liveedit.residual import RoutedExperts, edited_layer
from liveedit.methods.liveedit.routing import Route
from liveedit.methods.liveedit.selection import choose_experts, route_in
from liveedit.saving.hub import (
    EDITS_FILE,
    hub_folder,
    load_edits,
    push_to_hub,
    save_pretrained,
    saved_source,
)
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.memory import MemoryStore
from liveedit.store.pool import Pool


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """Why an edit does or does not concern a query.

    Args:
        edit: The edit.
        vision: Similarity of what the pictures show; says nothing where there is none.
        threshold: What it must exceed: the vision sentinel's similarity plus the margin, which
            grows with the edits in force.
        passes: Whether it does, and the question passes, too; of text-only ones the question alone.
        prompt: Similarity of the questions less its margin: the argument of the sigmoid.
        weight: How much the edit's expert is added; zero if it does not pass.
    """

    edit: Edit
    vision: float
    threshold: float
    passes: bool
    prompt: float
    weight: float


class EditedModel:
    """A loaded backbone with an editor and a store; the backbone's weights are never touched.

    A hook is on the backbone only while a call of this class runs, and only if there is an edit in
    force: without edits, and after the last one is revoked, all outputs are bit-identical to the
    backbone's own.

    Args:
        backbone: The wrapped model.
        network: An editor trained for it.
        store: Where edits are kept, or the file or URL of a store, which is made if it is not
            there; in memory by default.
        config: What happens when a correction is made.

    Raises:
        StoreError: The store cannot be used, or was made with another backbone or editor.
    """

    def __init__(
        self,
        backbone: Backbone,
        network: EditorNetwork,
        store: Store | str | Path | None = None,
        config: EditingConfig | None = None,
    ) -> None:
        self.backbone = backbone
        self.network = network.to(backbone.edit_device).eval()
        self.store = self._opened(store)
        self.config = config or EditingConfig()
        self._only: ContextVar[frozenset[str] | None] = ContextVar("only", default=None)
        self._namespace: ContextVar[str] = ContextVar("namespace", default="")
        self._revision: ContextVar[int | None] = ContextVar("revision", default=None)

    @classmethod
    def from_pretrained(
        cls,
        model: str | Path = "pocket",
        *,
        editor: str | Path | None = None,
        store: Store | str | Path | None = None,
        config: EditingConfig | None = None,
        **loading: Any,
    ) -> EditedModel:
        """Load a backbone and the editor trained for it, or an edited model that was saved.

        Args:
            model: ``pocket`` (built on first use), the folder of a transformers model, the id of
                one on the hub, or what :meth:`save_pretrained` wrote.
            editor: Folder that ``liveedit train`` or :meth:`save_pretrained` wrote, with edits if
                there are any; for the pocket VLM the shipped one by default.
            store: Where edits are kept, or the file or URL of a store, which is made if it is not
                there; in memory by default. A store of its own does not take up saved edits.
            config: What happens when a correction is made.
            loading: For :func:`liveedit.backbones.registry.load_backbone`: device, device_map,
                dtype, quantization_config, edit_layer, revision.

        Raises:
            BadCheckpoint: There is no such model or editor.
            BackboneMismatch: The editor was trained for another backbone or layer.
            UnknownFamily: The model is of no supported family.
            StoreError: The store cannot be used, or was made with another backbone or editor.
        """
        saved = None if model == "pocket" else hub_folder(model, revision=loading.get("revision"))
        source = None if saved is None else saved_source(saved)
        if source is not None:
            loading = {"edit_layer": source["edit_layer"], **loading, "revision": None}
            model, editor = source["model"], editor or saved
        backbone = load_backbone(model, **loading)
        folder = Path(editor or shipped_editor())
        network = load_editor(folder, backbone.fingerprint())
        edited = cls(backbone, network, store, config)
        if store is None and (folder / EDITS_FILE).is_file():
            load_edits(folder, edited.store)
        return edited

    def save_pretrained(self, folder: str | Path, *, backbone: bool = False) -> Path:
        """Write editor and edits for :meth:`from_pretrained`.

        Args:
            folder: Made if missing.
            backbone: With the backbone's own weights, which no edit ever changes; without them the
                folder names where they came from.
        """
        return save_pretrained(self, folder, backbone=backbone)

    def push_to_hub(self, repo_id: str, *, private: bool = True, **more: Any) -> str:
        """Send editor and edits to the hub; see :func:`liveedit.saving.hub.push_to_hub`."""
        return push_to_hub(self, repo_id, private=private, **more)

    @property
    def edits(self) -> tuple[Edit, ...]:
        """The edits in force, oldest first; within :meth:`at`, those of that revision."""
        return self.store.edits_at(self._revision.get())

    def edit(
        self,
        image: ImageSource | None,
        prompt: str,
        target: str,
        *,
        author: str = "",
        reason: str = "",
        preview: bool = False,
    ) -> EditOutcome:
        """Correct one answer: from now on, ``prompt`` about what ``image`` shows gives ``target``.

        Args:
            image: What is seen; None for a text-only correction, which concerns questions without
                a picture alone.
            prompt: The question.
            target: The right answer.
            author: Who corrects.
            reason: Why.
            preview: Only say what would come of it; nothing is written.

        Raises:
            BadImage: The picture cannot be read.
            EmptyText: Prompt or target says nothing.
            ControlTokenInText: Prompt or target holds a control token of the model.
            TextOnlyCorrection: There is no picture, and the editor has no text router.
            PastRevision: Within :meth:`at`.
            StoreError: The store cannot be written.
        """
        correction = Correction.checked(image, prompt, target)
        return self.edit_many([correction], author=author, reason=reason, preview=preview)[0]

    def edit_many(
        self,
        corrections: Sequence[Correction],
        *,
        namespaces: Sequence[str] | None = None,
        batch: int = 32,
        author: str | Sequence[str] = "",
        reason: str | Sequence[str] = "",
        preview: bool = False,
        before_write: Callable[[list[EditOutcome]], None] | None = None,
        progress: bool = False,
    ) -> list[EditOutcome]:
        """Correct many answers at once; either all corrections become edits or none does.

        Args:
            corrections: What to correct, the oldest first.
            namespaces: The set of edits that each belongs to; that of :meth:`namespace` by default.
            batch: How many are processed together.
            author: Who corrects, all or each.
            reason: Why, all or each.
            preview: Only say what would come of it; nothing is written.
            before_write: Is shown the outcomes, conflicts with earlier edits among them, before
                anything is written; if it raises, nothing is.
            progress: Show a progress bar.

        Raises:
            ValueError: There are not as many namespaces as corrections.
            ControlTokenInText, TextOnlyCorrection, PastRevision, StoreError: See :meth:`edit`.
        """
        self._refuse_past()
        if namespaces is None:
            namespaces = [self._namespace.get()] * len(corrections)
        if len(namespaces) != len(corrections):
            raise ValueError(
                f"{len(corrections)} corrections, {len(namespaces)} namespaces: give one for each"
            )
        authors, reasons = (
            [told] * len(corrections) if isinstance(told, str) else told
            for told in (author, reason)
        )
        outcomes: list[EditOutcome] = []
        starts = range(0, len(corrections), batch)
        with self.store.transaction(keep=not preview):
            for start in tqdm(starts, desc="edits", unit="batch", disable=not progress):
                rows = slice(start, start + batch)
                made = make_edits(
                    self.backbone,
                    self.network,
                    self.store,
                    corrections[rows],
                    namespaces[rows],
                    self.config,
                    authors=authors[rows],
                    reasons=reasons[rows],
                )
                edits = [one.edit for one in made.outcomes]
                images = [correction.image for correction in corrections[rows]]
                self.store.add(edits, made.experts, made.features, images)
                outcomes += made.outcomes
            if before_write is not None:
                before_write(outcomes)
        return outcomes

    def revoke(self, edit_id: str, *, author: str = "", reason: str = "") -> Edit:
        """Take an edit back; the model answers as if it had never been made.

        What it alone superseded is in force again.

        Raises:
            UnknownEdit: There is none of that name, or it is revoked already.
            PastRevision: Within :meth:`at`.
            StoreError: The store cannot be written.
        """
        self._refuse_past()
        return self.store.revoke(edit_id, author=author, reason=reason)

    def restore(self, edit_id: str, *, author: str = "", reason: str = "") -> Edit:
        """Take a revocation back; what the edit supersedes is out of force again.

        Raises:
            UnknownEdit: There is none of that name that is revoked.
            PastRevision: Within :meth:`at`.
            StoreError: The store cannot be written.
        """
        self._refuse_past()
        return self.store.restore(edit_id, author=author, reason=reason)

    @overload
    def generate(
        self, images: ImageSource | Sequence[ImageSource] | None, prompts: str, **options: Any
    ) -> str: ...

    @overload
    def generate(
        self,
        images: Sequence[ImageSource | Sequence[ImageSource] | None],
        prompts: Sequence[str],
        **options: Any,
    ) -> list[str]: ...

    def generate(
        self,
        images: ImageSource | Sequence[ImageSource | Sequence[ImageSource] | None] | None,
        prompts: str | Sequence[str],
        *,
        max_new_tokens: int = 32,
        **options: Any,
    ) -> str | list[str]:
        """Answer questions about pictures, with the edits that concern them.

        Args:
            images: One picture, or one (several, or None) for each prompt.
            prompts: One question, or several.
            max_new_tokens: Longest answer.
            options: Passed on to the model's ``generate`` (beams, sampling, streamer, ...); greedy
                by default.

        Returns:
            The answer, or one for each prompt (for each returned sequence).
        """
        if isinstance(prompts, str):
            return self.generate([images], [prompts], max_new_tokens=max_new_tokens, **options)[0]  # type: ignore[list-item]
        query = self._query(images, prompts)  # type: ignore[arg-type]
        with torch.no_grad(), self._edited(query):
            answers = self.backbone.generate(query, max_new_tokens=max_new_tokens, **options)
        return [answer.strip() for answer in answers]

    @torch.no_grad()
    def target_logits(
        self, query: Query, states: Float[Tensor, "batch length width"]
    ) -> Float[Tensor, "kept vocabulary"]:
        """Logits at the positions that predict the target tokens of a query (teacher forcing).

        Args:
            query: Questions with targets.
            states: The unedited states at the edit layer, as ``backbone.states`` gives them: the
                layers below the edit layer need not run again.
        """
        routed = self._choose(self._represent(query, states), self._pool())
        edited = states if routed is None else routed.add_to(states, self.network.scale)
        return self.backbone.finish(
            edited, query.attention_mask, query.spans.predicts, query.per_token
        )

    @torch.no_grad()
    def route(self, query: Query, states: Float[Tensor, "batch length width"]) -> Route:
        """Scores of every edit in force, for every row of a query."""
        features = self.network.extractor(self._represent(query, states))
        return route_in(self.network.router, features, self._pool())

    @torch.no_grad()
    def explain(
        self, image: ImageSource | None, prompt: str, *, most: int | None = None
    ) -> list[Explanation]:
        """What the router thinks of each edit in force for one query, largest weight first.

        Of very many edits only those that the store's index proposes are told.

        Args:
            image: A picture, or None.
            prompt: A question.
            most: Only so many, the first.
        """
        query = self._query([image], [prompt])
        represented = self._represent(query, self.backbone.states(query))
        features = self.network.extractor(represented)
        pool = self._pool().near(features)
        route = route_in(self.network.router, features, pool)
        weights, vision = route.weights[0].tolist(), route.vision[0].tolist()
        rows = pool.eligible[0].nonzero().flatten().tolist()
        rows = sorted(rows, key=lambda row: (weights[row], vision[row]), reverse=True)[:most]
        # one may have been revoked since the revision that is looked at
        edits = self.store.some([pool.ids[row] for row in rows], revoked=True)
        return [
            Explanation(
                edit=edits[pool.ids[row]],
                vision=vision[row],
                threshold=route.threshold[0, 0].item(),
                passes=bool(route.passes[0, row]),
                prompt=route.prompt[0, row].item(),
                weight=weights[row],
            )
            for row in rows
        ]

    @contextmanager
    def only(self, edit_ids: Collection[str]) -> Iterator[None]:
        """Within this context only these edits are in force (in this thread or task)."""
        for edit_id in edit_ids:
            self.store.get(edit_id)
        token = self._only.set(frozenset(edit_ids))
        try:
            yield
        finally:
            self._only.reset(token)

    @contextmanager
    def namespace(self, name: str) -> Iterator[None]:
        """Within this context edits are made in, and queries answered by, this set of edits alone.

        Sets know nothing of each other: edits of one never answer, contradict or supersede those
        of another. Outside any context it is the set named "".
        """
        token = self._namespace.set(name)
        try:
            yield
        finally:
            self._namespace.reset(token)

    @contextmanager
    def at(self, revision: int) -> Iterator[None]:
        """Within this context the model answers as it did at a revision of the store.

        Raises:
            UnknownRevision: It is still to come.
        """
        self.store.pool((), revision=revision)
        token = self._revision.set(revision)
        try:
            yield
        finally:
            self._revision.reset(token)

    def disabled(self) -> Any:
        """Within this context no edit is in force (in this thread or task)."""
        return self.only(())

    def _query(
        self,
        images: Sequence[ImageSource | Sequence[ImageSource] | None],
        prompts: Sequence[str],
    ) -> Query:
        opened: list[Pictures] = [
            [open_image(one) for one in image]
            if isinstance(image, list | tuple)
            else None
            if image is None
            else open_image(image)  # type: ignore[arg-type]
            for image in images
        ]
        return self.backbone.query(opened, [checked_text(p, "prompt") for p in prompts])

    def _pool(self) -> Pool:
        return self.store.pool(
            self._only.get(), namespaces=[self._namespace.get()], revision=self._revision.get()
        )

    def _opened(self, store: Store | str | Path | None) -> Store:
        network, device = self.network, self.backbone.edit_device
        if store is None:
            return MemoryStore(
                width=network.state_width,
                rank=network.config.rank,
                features=network.features,
                device=device,
            )
        if isinstance(store, MemoryStore):
            return store
        from liveedit.store.sql import SqlStore

        identity = identity_of(self.backbone, network)
        if isinstance(store, (str, Path)):
            return SqlStore(store, identity, device=device)
        if isinstance(store, SqlStore):
            store.log.require(identity)
        return store

    def _refuse_past(self) -> None:
        revision = self._revision.get()
        if revision is not None:
            raise PastRevision(revision)

    def _represent(
        self, query: Query, states: Float[Tensor, "batch length width"]
    ) -> Representation:
        states = standardise(states, self.network.scale)
        return Representation(states=states, spans=query.spans)

    def _edited(self, query: Query) -> Any:
        pool = self._pool()  # the query sees this revision, whatever is written meanwhile
        if not pool.eligible.any():
            return nullcontext()
        return edited_layer(
            self.backbone.layer,
            query.spans,
            self.network.scale,
            lambda representation: self._choose(representation, pool),
        )

    def _choose(self, representation: Representation, pool: Pool) -> RoutedExperts | None:
        features = self.network.extractor(representation)
        while pool.eligible.any():
            try:
                return choose_experts(self.network.router, features, pool)
            except DamagedEdit as error:
                pool = pool.without(error.edit_id)
        return None
