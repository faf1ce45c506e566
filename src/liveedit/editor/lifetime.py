"""An edited model's lifetime: loaded or wrapped, saved, and let go."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, TypeVar

from liveedit.backbones.base import Backbone
from liveedit.backbones.registry import load_backbone
from liveedit.backbones.wrapping import wrap_backbone
from liveedit.config import Config
from liveedit.editor.inputs import store_for
from liveedit.editor.pretrained import (
    at_editors_layer,
    save_edited,
    saved_config,
    saved_source,
    stored_config,
    stored_identity,
)
from liveedit.editor.scopes import Scopes
from liveedit.methods.base import Method
from liveedit.methods.registry import method_class
from liveedit.saving.hub import hub_folder, upload_folder
from liveedit.store.base import Store
from liveedit.store.saved_edits import EDITS_FILE, load_edits

T = TypeVar("T", bound="Lifetime")  # not Self, which beartype does not check in methods


class Lifetime(Scopes):
    """What an edited model is made from, and what is left of it.

    Args:
        method: An editing method, with the backbone it is for.
        store: Where edits are kept, or the file or URL of a store.
    """

    def __init__(self, method: Method, store: Store | str | Path | None = None) -> None:
        self.method = method
        super().__init__(store_for(method, store))

    @classmethod
    def from_pretrained(
        cls: type[T],
        model: str | Path = "pocket",
        *,
        method: str | None = None,
        editor: str | Path | None = None,
        store: Store | str | Path | None = None,
        config: Config | None = None,
        **loading: Any,
    ) -> T:
        """Load a backbone and an editing method for it, or an edited model that was saved.

        Args:
            model: ``pocket`` (built on first use), the folder of a transformers model, the id of
                one on the hub, or what :meth:`save_pretrained` wrote.
            method: Name of the editing method; by default that of a saved model or of the store,
                else ``liveedit``.
            editor: What was trained or calibrated for the method and this backbone: the folder that
                ``liveedit train``, ``liveedit calibrate`` or :meth:`save_pretrained` wrote, with
                edits if there are any. By default what the method ships for the backbone.
            store: Where edits are kept, or the file or URL of a store, which is made if it is not
                there; in memory by default. A store of its own does not take up saved edits.
            config: How corrections are made, of the method's own class; by default as the store
                keeps it, else as it was saved, else the method's defaults.
            loading: For :func:`liveedit.backbones.registry.load_backbone`: device, device_map,
                dtype, quantization_config, revision, edit_layer (by default that of the editor).

        Raises:
            BadCheckpoint: There is no such model, or nothing that the method needs for it.
            BackboneMismatch: The editor was trained for another backbone or layer.
            UnknownFamily: The model is of no supported family.
            UnknownMethod: There is no such method.
            OtherMethod: The store's edits were made by another method; it is not touched.
            StoreError: The store cannot be used, or was made with another backbone or editor.
        """
        saved = None if model == "pocket" else hub_folder(model, revision=loading.get("revision"))
        source = None if saved is None else saved_source(saved)
        if source is not None:
            loading = {"edit_layer": source["edit_layer"], **loading, "revision": None}
            model, editor = source["model"], editor or saved
            method = method or source["method"]
        stored = stored_identity(store)
        chosen = method_class(method or (stored.method if stored else "liveedit"))
        folder = None if editor is None else Path(editor)
        backbone = load_backbone(model, **loading)
        if folder is not None and loading.get("edit_layer") is None:
            backbone = at_editors_layer(backbone, folder)
        return cls._loaded(chosen, backbone, folder, config or stored_config(stored, chosen), store)

    @classmethod
    def wrap(
        cls: type[T],
        model: Any,
        processor: Any,
        *,
        method: str | None = None,
        editor: str | Path | None = None,
        store: Store | str | Path | None = None,
        config: Config | None = None,
        edit_layer: int | None = None,
        name: str | None = None,
    ) -> T:
        """Edit a model that is in memory already; its weights are shared, never copied or changed.

        What calls the model itself gets bit-identical answers before, meanwhile and afterwards. It
        is let go by :meth:`close`, at the end of a ``with`` block, or with the last reference.

        Args:
            model: A transformers model, or what PEFT, Accelerate or ``torch.compile`` has put
                around it. Adapters that are in force stay so.
            processor: The model's own, with tokenizer and image processor.
            method: Name of the editing method; by default that of the store, else ``liveedit``.
            editor: See :meth:`from_pretrained`.
            store: See :meth:`from_pretrained`.
            config: How corrections are made, of the method's own class; by default as it was saved,
                else the method's defaults.
            edit_layer: Decoder layer that is read and edited; by default that of the editor, or the
                family's own choice.
            name: What to call the model; by default where it is from.

        Raises:
            BadCheckpoint: It is no model of transformers, the processor is none for pictures, or
                there is nothing that the method needs for this model.
            BackboneMismatch: The editor was trained for another backbone or layer.
            UnknownFamily, UnknownMethod, OtherMethod, StoreError: See :meth:`from_pretrained`.
        """
        stored = stored_identity(store)
        chosen = method_class(method or (stored.method if stored else "liveedit"))
        folder = None if editor is None else Path(editor)
        backbone = wrap_backbone(model, processor, edit_layer=edit_layer, name=name)
        if folder is not None and edit_layer is None:
            backbone = at_editors_layer(backbone, folder)
        try:
            config = config or stored_config(stored, chosen)
            return cls._loaded(chosen, backbone, folder, config, store)
        except BaseException:
            backbone.close()
            raise

    @classmethod
    def _loaded(
        cls: type[T],
        method: type[Method],
        backbone: Backbone,
        folder: Path | None,
        config: Config | None,
        store: Store | str | Path | None,
    ) -> T:
        """With the settings and edits that lie in an editor's folder, unless others are given."""
        if folder is not None and config is None:
            config = saved_config(folder, method)
        edited = cls(method.load(backbone, folder, config), store)
        if store is None and folder is not None and (folder / EDITS_FILE).is_file():
            load_edits(folder, edited.store, edited.method.layout)
        return edited

    def close(self) -> None:
        """Let the model go: no hook of ours is left, and what was in training mode is again.

        The store stays as it is. Other edited models of the same backbone are closed, too.
        """
        self.backbone.close()

    def __enter__(self: T) -> T:
        """Itself; the model is let go at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def save_pretrained(self, folder: str | Path, *, backbone: bool = False) -> Path:
        """Write method and edits for :meth:`from_pretrained`.

        Args:
            folder: Made if missing.
            backbone: With the backbone's own weights, which no edit ever changes; without them the
                folder names where they came from.
        """
        save_edited(self.method, self.store, Path(folder), backbone=backbone)
        return Path(folder)

    def push_to_hub(
        self, repo_id: str, *, private: bool = True, backbone: bool = False, **more: Any
    ) -> str:
        """Save the edited model and send it to the hub.

        Args:
            repo_id: ``owner/name``; made if missing.
            private: Whether a new repository is: edits tell what people corrected.
            backbone: See :meth:`save_pretrained`.
            more: For ``HfApi.upload_folder`` (revision, commit_message, ...).

        Returns:
            Address of the commit.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, backbone=backbone)
            return upload_folder(Path(folder), repo_id, private=private, **more)

    @property
    def backbone(self) -> Backbone:
        """The model that is edited."""
        return self.method.backbone

    def _check_model(self) -> None:
        """Edits fit one set of weights: the model must still have it."""
        self.backbone.check_open()
        self.backbone.watch.check()
