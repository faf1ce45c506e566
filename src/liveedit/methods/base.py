"""The contract of an editing method: all that the rest of the project knows of one.

A method makes tensors of corrections (`edit`), which a store keeps by name; says which edits
concern a query (`route`); and answers queries with them (`apply`). What is in force, revisions,
namespaces, revocation, export and crash safety are the store's, and come for nothing.

A method is a class in a folder of its own. ``methods/registry.py`` finds it by its name, or an
installed package offers it under the entry point ``liveedit.methods``. See CONTRIBUTING.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

from liveedit.backbones.base import Backbone
from liveedit.backbones.kept_logits import says_targets
from liveedit.backbones.query import Query, Questions
from liveedit.config import Config
from liveedit.correction import Correction
from liveedit.methods.outcome import NewEdits, Supersede
from liveedit.methods.route import Route, TellRoute
from liveedit.store.base import Store
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.pool import Pool
from liveedit.store.records import Identity


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What a method can do.

    Args:
        text_only: Take corrections without a picture.
        several_pictures: Take a correction about several pictures.
        revoke: How an edit is taken back: ``exact`` (the others are as if it had never been),
            ``replay`` (they are made again without it), or ``never``.
        mixed_batches: Answer queries with different edits in force in one batch.
        trained: Needs something that was trained or calibrated for the backbone, see
            :meth:`Method.prepare`.
    """

    text_only: bool = True
    several_pictures: bool = False
    revoke: Literal["exact", "replay", "never"] = "exact"
    mixed_batches: bool = True
    trained: bool = False


class Method(ABC):
    """An editing method for one loaded backbone, whose weights it never changes for good.

    Args:
        backbone: The frozen model.
        config: How corrections are made; of the class ``config_class``.
    """

    name: ClassVar[str]
    config_class: ClassVar[type[Config]]
    # whether taking an edit back makes others again, so that it takes the model; see `Abilities`
    replays: ClassVar[bool] = False
    # whether `edit` sees a target reached by the edit alone; the editor then asks with all others
    judges_alone: ClassVar[bool] = False
    # which of the corrections, steps and seed of `liveedit train` `prepare` has a use for
    prepares_with: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, backbone: Backbone, config: Config) -> None:
        self.backbone, self.config = backbone, config

    @classmethod
    @abstractmethod
    def load(
        cls, backbone: Backbone, folder: Path | None = None, config: Config | None = None
    ) -> Method:
        """The method as it was prepared for this backbone.

        Args:
            backbone: The model.
            folder: What :meth:`save` wrote; by default what the method ships for this backbone, or
                nothing where it needs nothing.
            config: How corrections are made; the method's defaults by default.

        Raises:
            BadCheckpoint: The folder is not what is needed, or there is none where one is needed.
            BackboneMismatch: It was made for another backbone.
        """

    @classmethod
    def prepare(cls, backbone: Backbone, folder: Path, **options: Any) -> Path:
        """Train or calibrate for a backbone, and save; a method that needs nothing just saves.

        Args:
            backbone: The model.
            folder: Made if missing; started again it goes on there.
            options: The method's own.

        Returns:
            The folder for :meth:`load`.
        """
        cls.load(backbone).save(folder)
        return folder

    @abstractmethod
    def save(self, folder: Path, fingerprint: Mapping[str, object] | None = None) -> None:
        """Write what :meth:`load` reads: safetensors and JSON, whole or not at all.

        Args:
            folder: Made if missing.
            fingerprint: Of the backbone it will be loaded with; of this one by default.
        """

    @property
    @abstractmethod
    def abilities(self) -> Abilities:
        """What it can do; it may depend on what was trained."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What whoever looks into the method as it is loaded should know, in sentences."""
        return ()

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """The tensors of an edit."""

    @classmethod
    def default_layout(cls, backbone: Backbone) -> Layout | None:
        """What an edit will have once the method is prepared; None if that cannot be said."""
        return None

    @property
    @abstractmethod
    def learned(self) -> dict[str, object]:
        """What edits depend on beside the backbone, as digests; part of a store's fingerprint."""

    @property
    def identity(self) -> Identity:
        """What a store of edits must agree with.

        The backbone's name matters only where the weights are not known.
        """
        made_with = {**self.backbone.fingerprint(), **self.learned}
        if made_with["weights"] is not None:
            del made_with["backbone"]
        return Identity(
            fingerprint=made_with,
            method=self.name,
            layout=self.layout,
            settings=self.settings,
        )

    @property
    def settings(self) -> dict[str, object]:
        """What was chosen otherwise than by default, JSON; a store keeps it."""
        return self.config.model_dump(mode="json", exclude_defaults=True)

    def describe(self) -> dict[str, Any]:
        """All its settings, for reports; JSON."""
        return {"config": self.config.model_dump()}

    @abstractmethod
    def edit(
        self,
        edits: Sequence[Edit],
        corrections: Sequence[Correction],
        store: Store,
        supersede: Supersede | None = None,
    ) -> NewEdits:
        """Make a batch of edits; the store is only read.

        Args:
            edits: What the store will keep for people, with names and namespaces, oldest first.
            corrections: What they correct.
            store: What is in force.
            supersede: Which earlier edits they put out of force; the config's choice by default.

        Returns:
            The edits, which may name others that they supersede, and their tensors.

        Raises:
            MethodCannot: A correction asks for what the method is not able to do.
        """

    @torch.no_grad()
    def reaches(self, questions: Questions, pool: Pool) -> list[bool]:
        """Whether the model gives the target of each question, with the edits that concern it.

        In one pass: if each token of the target is the likeliest behind those before it, greedy
        decoding gives just these.

        Args:
            questions: A batch with targets.
            pool: The edits, eligible for each question or for all.
        """
        with self.apply(questions, pool) as query:
            return says_targets(self.backbone, query)

    @abstractmethod
    def route(self, questions: Questions, pool: Pool) -> tuple[Route, Pool]:
        """Which edits concern each question.

        Args:
            questions: A batch.
            pool: The edits, eligible for each question or for all.

        Returns:
            Scores, and the pool that their columns stand for: of very many edits a part.
        """

    @abstractmethod
    def apply(
        self, questions: Questions, pool: Pool, tell: TellRoute | None = None
    ) -> AbstractContextManager[Query]:
        """Within this context the backbone answers a batch with the edits that concern it.

        Leaving it restores the backbone exactly. A row that no edit concerns gets bit-identical
        output.

        Args:
            questions: A batch; with targets for teacher forcing.
            pool: The edits, eligible for each question or for all.
            tell: Is given what :meth:`route` returns as soon as it is known, at the latest when the
                question has been read; not where there is nothing to be routed to.

        Returns:
            What the backbone is to be given, once.
        """
