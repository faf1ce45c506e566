"""Sizes of a training by name: a trial, and the paper's."""

from __future__ import annotations

from liveedit.training.editor import EditorTraining
from liveedit.training.loop import LoopConfig
from liveedit.training.published import EDITOR, PublishedTraining

_PAPERS = {"width": 1024, "heads": 8, "rank": 4, "vectors": 4, "sentinel_tokens": 32}
_EVQA = 6345  # training corrections of E-VQA

OURS = {
    "small": EditorTraining(
        corrections=640,
        text_corrections=640,
        validation=120,
        router=LoopConfig(steps=300, learning_rate=1e-3, validate_every=50),
        router_batch=48,
        text_batch=24,
        generator=LoopConfig(steps=60, learning_rate=5e-4, validate_every=20),
    ),
    "paper": EditorTraining(
        editor=EditorTraining().editor.model_copy(update=_PAPERS),
        corrections=_EVQA,
        text_corrections=_EVQA,
        router=LoopConfig(steps=6000, learning_rate=3e-4, validate_every=250),
        generator=LoopConfig(steps=4000, learning_rate=2e-4, validate_every=250),
    ),
}
# from an editor that is trained already: shorter steps, and fewer
FURTHER = EditorTraining(
    corrections=960,
    text_corrections=1097,
    validation=120,
    router=LoopConfig(steps=400, learning_rate=3e-4, warmup=20),
    generator=LoopConfig(steps=80, learning_rate=2e-4, warmup=10),
)
PUBLISHED = {
    "small": PublishedTraining(
        corrections=640, validation=120,
        loop=LoopConfig(steps=200, learning_rate=1e-3, validate_every=50),
    ),
    # as in configs/, which differ by backbone in the vision sentinel alone
    "paper": PublishedTraining(
        editor=EDITOR.model_copy(update={**_PAPERS, "dropout": 0.0}),
        corrections=_EVQA,
        random_words=0.0,
        loop=LoopConfig(
            steps=40_000, learning_rate=1e-4, warmup=0, weight_decay=0.0,
            save_every=500, validate_every=1000,
        ),
        batch=8,
        routing_batch=8,
    ),
}  # fmt: skip


def scaled_published(config: PublishedTraining, corrections: int) -> PublishedTraining:
    """So many corrections, and no more validation ones than make sense beside them."""
    validation = min(config.validation, max(20, corrections // 10))
    return config.model_copy(update={"corrections": corrections, "validation": validation})


def scaled(config: EditorTraining, corrections: int) -> EditorTraining:
    """So many corrections, and as many text-only and validation ones as belong to them."""
    share = min(1.0, corrections / config.corrections)
    return config.model_copy(
        update={
            "corrections": corrections,
            "text_corrections": max(16, round(share * config.text_corrections)),
            "validation": max(20, round(share * config.validation)),
        }
    )
