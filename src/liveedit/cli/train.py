"""``liveedit train``: train an editor for a backbone."""

from __future__ import annotations

from pathlib import Path

import typer

from liveedit.cli.common import MODEL, quieten


def train(
    out: Path = typer.Option(..., "--out", help="Folder for states, logs and the checkpoint."),
    model: str = MODEL,
    corrections: int | None = typer.Option(None, min=100, help="Training corrections to draw."),
    router_steps: int | None = typer.Option(None, min=1, help="Steps of the router."),
    generator_steps: int | None = typer.Option(None, min=1, help="Steps of the generator."),
    seed: int = typer.Option(0, help="Seed of everything random."),
    states: Path | None = typer.Option(
        None, help="Cache of hidden states, which runs may share.", show_default="OUT/states"
    ),
    states_limit: float = typer.Option(8.0, min=0.1, help="Its largest size in GB."),
) -> None:
    """Train an editor on emoji-edit's training corrections; started again it goes on.

    On several processes: accelerate launch --num_processes N -m liveedit train --out OUT

    The editor is in OUT/editor: use it with --editor, or EditedModel.from_pretrained(editor=...).
    """
    quieten()
    from liveedit.backbones.registry import load_backbone
    from liveedit.training.processes import processes
    from liveedit.training.train import EditorTraining, train_editor

    config = EditorTraining(seed=seed)
    changes: dict[str, object] = {}
    if corrections is not None:
        changes["corrections"] = corrections
    if router_steps is not None:
        changes["router"] = config.router.model_copy(update={"steps": router_steps})
    if generator_steps is not None:
        changes["generator"] = config.generator.model_copy(update={"steps": generator_steps})
    folder = train_editor(
        load_backbone(model),
        out,
        config.model_copy(update=changes),
        states=states,
        states_limit=int(states_limit * 1e9),
    )
    if processes().is_main_process:
        print(f"editor in {folder}")
