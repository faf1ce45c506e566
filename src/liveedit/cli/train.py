"""``liveedit train``: train an editor for a backbone."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

import typer

from liveedit.cli.common import DEVICE, DTYPE, METHOD, MODEL, WORDS, Dtype, placed, quieten

STATES_GB = 8.0


class Recipe(StrEnum):
    """How to train."""

    ours = "ours"
    published = "published"


class Preset(StrEnum):
    """Sizes of a training."""

    small = "small"
    paper = "paper"


class Choose(StrEnum):
    """Which weights a training ends with."""

    best = "best"
    last = "last"


class Variant(StrEnum):
    """The published ablations."""

    full = "full"
    no_absolute = "no-absolute"
    no_relative = "no-relative"
    no_soft = "no-soft"
    unguided = "unguided"
    no_hard = "no-hard"


def train(
    out: Path = typer.Option(..., "--out", help="Folder for states, logs and the checkpoint."),
    method: str = METHOD,
    model: str = MODEL,
    device: str = DEVICE,
    dtype: Dtype = DTYPE,
    recipe: Recipe = typer.Option(
        Recipe.ours, help="ours, or the paper's: all losses together, none of our changes."
    ),
    preset: Preset | None = typer.Option(
        None,
        help="small: a trial, in a tenth of the time; paper: as wide and as long as the paper's. "
        "Other options change it.",
        show_default="what made the shipped editor",
    ),
    data: list[str] = typer.Option(
        ["emoji-edit"],
        "--data",
        help="What to learn from: emoji-edit, a file of corrections (JSONL, CSV, or the JSON of "
        "E-VQA, E-IC or VLKEB), a dataset saved to disk, or a folder of photographs by class. May "
        "be given several times.",
    ),
    start: Path | None = typer.Option(
        None,
        help="Folder of a trained editor to go on from (ours): shorter than a new one, and what it "
        "knows is kept as far as --data has it.",
    ),
    images: Path | None = typer.Option(
        None, help="Folder of the pictures that files name.", show_default="that of each file"
    ),
    stand_ins: Path | None = typer.Option(
        None,
        help="Folder of photographs, by class or loose, that stand in for pictures of files which "
        "are not there; those of training classes do.",
    ),
    variant: Variant = typer.Option(Variant.full, help="Ablation, with --recipe published."),
    corrections: int | None = typer.Option(
        None, min=20, help="Corrections to draw, of drawings and of each folder."
    ),
    text_corrections: int | None = typer.Option(
        None, min=16, help="Text-only corrections to draw (ours)."
    ),
    router_steps: int | None = typer.Option(None, min=1, help="Steps of the router (ours)."),
    generator_steps: int | None = typer.Option(None, min=1, help="Steps of the generator (ours)."),
    steps: int | None = typer.Option(
        None, min=1, help="Steps of the published training, or of another method's."
    ),
    config: Path | None = typer.Option(
        None, "--config", help="Backbone and settings, with --recipe published: see configs/."
    ),
    choose: Choose | None = typer.Option(
        None,
        help="Weights to end with: best on validation corrections, or last.",
        show_default="best; with --recipe published, last",
    ),
    only_estimate: bool = typer.Option(
        False, "--estimate", help="Say what it takes on disk and in time, and do nothing."
    ),
    edit_layer: int | None = typer.Option(
        None, min=0, help="Decoder layer to edit; the family's own choice."
    ),
    seed: int = typer.Option(0, help="Seed of everything random."),
    sentence_encoder: bool = WORDS,
    states: Path | None = typer.Option(
        None, help="Cache of hidden states, which runs may share.", show_default="OUT/states"
    ),
    states_limit: float = typer.Option(STATES_GB, min=0.1, help="Its largest size in GB."),
) -> None:
    """Train an editor, by default on emoji-edit's training corrections; started again it goes on.

    What it takes on disk and in time is said before it starts; what the disk does not hold is
    refused. Curves on validation corrections are in OUT/training.html, and for TensorBoard.

    Of a file a tenth of the pictures is held back to choose settings on; what its rows lack (other
    words, other pictures, probes) is derived, and told.

    Other methods than liveedit are trained by their own rules, on the same training corrections, or
    calibrated on emoji-edit's validation corrections; of these options they take --corrections,
    --steps and --seed, where they have a use for them.

    On several processes: accelerate launch --num_processes N -m liveedit train --out OUT

    The editor is in OUT/editor: use it with --editor, or EditedModel.from_pretrained(editor=...).
    """
    published = recipe is Recipe.published
    all_ours = {
        "--preset": preset, "--data": data if data != ["emoji-edit"] else None, "--images": images,
        "--stand-ins": stand_ins, "--choose": choose, "--estimate": only_estimate or None,
        "--recipe": recipe if published else None, "--states": states,
        "--states-limit": states_limit if states_limit != STATES_GB else None,
    }  # fmt: skip
    ours_only = {
        "--router-steps": router_steps, "--generator-steps": generator_steps,
        "--text-corrections": text_corrections, "--start": start,
        "--sentence-encoder": sentence_encoder or None,
    }  # fmt: skip
    theirs_only = {
        "--variant": variant if variant is not Variant.full else None, "--config": config,
    }  # fmt: skip
    if method != "liveedit":
        _refuse({**all_ours, **ours_only, **theirs_only}, f"--method {method}")
        given = {"corrections": corrections, "steps": steps, "seed": seed or None}
        options = {name: value for name, value in given.items() if value is not None}
        _prepare(method, out, model, edit_layer, placed(device, dtype), options)
        return
    _refuse(ours_only if published else {**theirs_only, "--steps": steps}, f"--recipe {recipe}")
    quieten()
    from liveedit.backbones.registry import load_backbone
    from liveedit.distributed import processes
    from liveedit.training.data import training_data
    from liveedit.training.editor import EditorTraining, train_editor
    from liveedit.training.estimate import Estimate
    from liveedit.training.presets import FURTHER, OURS, PUBLISHED, scaled, scaled_published
    from liveedit.training.published import PublishedTraining, train_published

    if sentence_encoder:
        from liveedit.methods.shared.sentence_encoder import require_sentence_encoder

        require_sentence_encoder()
    changes: dict[str, object] = {"seed": seed}
    if choose is not None:
        changes["choose"] = choose.value
    theirs = PublishedTraining() if preset is None else PUBLISHED[preset.value]
    if config is not None and preset is not None:
        raise typer.BadParameter("does not go with --config", param_hint="--preset")
    if config is not None:
        from liveedit.training.recipes import read_recipe

        recipe_read = read_recipe(config)
        theirs = recipe_read.training
        model = recipe_read.backbone if model == "pocket" else model
        if recipe_read.data and data == ["emoji-edit"]:
            data = list(recipe_read.data)
            images = Path(recipe_read.images) if recipe_read.images and not images else images
        edit_layer = recipe_read.edit_layer if edit_layer is None else edit_layer
    backbone = load_backbone(model, edit_layer=edit_layer, **placed(device, dtype))
    limit = int(states_limit * 1e9)
    usual = EditorTraining() if start is None else FURTHER
    ours = usual if preset is None else OURS[preset.value]
    if corrections is not None:
        theirs = scaled_published(theirs, corrections)
        ours = scaled(ours, corrections)
    taught = None
    if data != ["emoji-edit"]:
        drawn = theirs.corrections if published else ours.corrections
        held = theirs.validation if published else ours.validation
        taught = training_data(
            backbone, data, images, corrections=drawn, validation=held, stand_ins=stand_ins
        )
    if published:
        theirs = theirs.variant(variant)
        if steps is not None:
            changes["loop"] = theirs.loop.model_copy(update={"steps": steps})
        theirs = theirs.model_copy(update=changes)
        train_this = partial(train_published, backbone, out, theirs)
    else:
        for part, count in (("router", router_steps), ("generator", generator_steps)):
            if count is not None:
                changes[part] = getattr(ours, part).model_copy(update={"steps": count})
        if text_corrections is not None:
            changes["text_corrections"] = text_corrections
        changes["start"] = start
        if sentence_encoder:
            changes["editor"] = ours.editor.model_copy(update={"sentence_encoder": True})
        ours = ours.model_copy(update=changes)
        train_this = partial(train_editor, backbone, out, ours)

    def told(what: Estimate) -> None:
        if processes().is_main_process:
            print(what, flush=True)
        if only_estimate:
            raise typer.Exit

    folder = train_this(data=taught, states=states, states_limit=limit, told=told)
    if processes().is_main_process:
        print(f"editor in {folder}")


def _refuse(given: Mapping[str, object], beside: str) -> None:
    """Refuse options that were given and have no meaning beside another."""
    for name, value in given.items():
        if value is not None:
            raise typer.BadParameter(f"does not go with {beside}", param_hint=name)


def _prepare(
    method: str,
    out: Path,
    model: str,
    edit_layer: int | None,
    placing: dict[str, Any],
    options: dict[str, int],
) -> None:
    """Train or calibrate a method by its own rules."""
    quieten()
    from liveedit.methods.registry import method_class

    chosen = method_class(method)
    unused = {f"--{name}": options[name] for name in sorted({*options} - chosen.prepares_with)}
    _refuse(unused, f"--method {method}")
    from liveedit.backbones.registry import load_backbone
    from liveedit.data.examples import training_examples, validation_examples

    backbone = load_backbone(model, edit_layer=edit_layer, **placing)
    folder = chosen.prepare(
        backbone,
        out / "editor",
        examples=validation_examples(),
        training=training_examples,
        **options,
    )
    print(f"editor in {folder}")
