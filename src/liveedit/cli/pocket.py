"""``liveedit pocket``: the small real VLM that needs no download."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from liveedit.cli.common import JSON, quieten

app = typer.Typer(
    help="Build, train and evaluate the pocket VLM, a small real model without a download.",
    no_args_is_help=True,
)


@app.command()
def build(
    cache: Path | None = typer.Option(None, help="Folder of built models; the user's cache."),
    force: bool = typer.Option(False, help="Build again even if it is there."),
) -> None:
    """Assemble the pocket VLM from the installed packages (about 600 MB, once)."""
    quieten()
    from liveedit.pocket.assembly import build_pocket

    print(build_pocket(cache, force=force))


@app.command()
def train(
    out: Path = typer.Option(
        Path("runs/pocket"), help="Folder for features (1.2 GB), logs and weights."
    ),
    steps: int | None = typer.Option(None, min=1, help="Steps of the second stage."),
) -> None:
    """Train the alignment from the parts; started again it goes on where it was."""
    quieten()
    from liveedit.pocket.alignment.language_stage import AlignmentConfig
    from liveedit.pocket.alignment.run import train_alignment
    from liveedit.pocket.alignment.vision_stage import VisionStageConfig

    config = AlignmentConfig()
    if steps is not None:
        loop = config.loop.model_copy(update={"steps": steps})
        config = config.model_copy(update={"loop": loop})
    print(train_alignment(out, VisionStageConfig(), config))


@app.command()
def photographs(
    images: Path = typer.Option(..., help="Photographs by class: a folder for each class."),
    out: Path = typer.Option(Path("runs/pocket-photographs"), help="Folder for log and weights."),
    alignment: Path | None = typer.Option(
        None, help="What 'pocket train' wrote; the shipped weights by default."
    ),
    steps: int | None = typer.Option(None, min=1, help="Steps of learning the names."),
) -> None:
    """Teach photographs to aligned weights; started again it goes on where it was."""
    quieten()
    from liveedit.pocket.alignment.photograph_run import teach_photographs
    from liveedit.pocket.alignment.photograph_stage import PhotographStageConfig
    from liveedit.pocket.assembly import shipped_alignment

    config = PhotographStageConfig()
    if steps is not None:
        loop = config.loop.model_copy(update={"steps": steps})
        config = config.model_copy(update={"loop": loop})
    print(teach_photographs(alignment or shipped_alignment(), images, out, config))


@app.command()
def evaluate(
    limit: int | None = typer.Option(None, min=1, help="Only so many questions of each kind."),
    images: Path | None = typer.Option(
        None, help="Photographs by class, of which those of ImageNet's classes are asked about."
    ),
    as_json: bool = JSON,
) -> None:
    """Measure what the pocket VLM can do: names, scenes, easy-VQA, photographs, text answers."""
    quieten()
    from liveedit.pocket.evaluation import evaluate_pocket

    figures = evaluate_pocket(limit=limit, photographs=images)
    if as_json:
        print(json.dumps(figures))
    else:
        for name, figure in figures.items():
            print(f"{name:40} {figure['right']:5d} of {figure['n']:5d}  {figure['percent']:6.2f}%")
