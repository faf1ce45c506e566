"""``liveedit bench cost``: what a method costs beside its quality."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import typer

from liveedit.cli.bench_data import (
    ANNOTATIONS,
    DATASET,
    IMAGES,
    PHOTOGRAPHS,
    SINGLE,
    STAND_INS,
    Dataset,
    Source,
    Split,
)
from liveedit.cli.bench_switches import REFINE, SUPERSEDE, switch
from liveedit.cli.common import DEVICE, DTYPE, EDITOR, JSON, METHOD, MODEL, SETTINGS, Dtype, load

COST_FILE = "cost.json"


def cost(
    out: Path = typer.Option(..., "--out", help=f"Folder for {COST_FILE}; a run's, for one."),
    dataset: Dataset = DATASET,
    annotations: Path | None = ANNOTATIONS,
    images: Path | None = IMAGES,
    photographs: int = PHOTOGRAPHS,
    single: bool = SINGLE,
    stand_ins: Path | None = STAND_INS,
    edits: int = typer.Option(100, min=1, help="Edits that are made, one at a time."),
    split: Split = typer.Option(Split.EVALUATION, help="Which corrections."),
    method: str = METHOD,
    refine: bool = REFINE,
    supersede: bool = SUPERSEDE,
    settings: Path | None = SETTINGS,
    model: str = MODEL,
    device: str = DEVICE,
    dtype: Dtype = DTYPE,
    editor: Path | None = EDITOR,
    as_json: bool = JSON,
) -> None:
    """Measure seconds and bytes an edit, answering against the unedited model, and taking back.

    Prefill is a corrected question up to the first token, decode each further token. At the end all
    edits are taken back, and logits compared with the unedited model's. Run it on a machine that
    does nothing else.
    """
    source = Source(
        dataset=dataset, split=split, annotations=annotations, images=images,
        photographs=photographs, single=single, stand_ins=stand_ins, limit=edits,
    )  # fmt: skip
    source.check()
    edited = load(model, editor, method=method, settings=settings, device=device, dtype=dtype)
    switch(edited, refine=refine, supersede=supersede)
    from liveedit.benchmark.cost import measure_cost
    from liveedit.saving.files import write_whole

    suite, about, _ = source.suite(edited.backbone)
    found = measure_cost(edited, suite, edits=edits, about=about)
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / COST_FILE, json.dumps(found, indent=2) + "\n")
    if as_json:
        print(json.dumps(found))
    else:
        _show(found, out)


def _show(found: dict[str, Any], out: Path) -> None:
    print(f"{found['method']}, {found['edits']} edits in force")
    print(f"an edit: {found['seconds_per_edit']:.3f} s, {found['bytes_per_edit'] / 1e3:,.1f} kB")
    for name in ("prefill", "decode"):
        figures = found[name]
        print(
            f"{name}: {1e3 * figures['seconds']:.1f} ms, unedited "
            f"{1e3 * figures['unedited']:.1f} ms ({figures['ratio']:.2f} times)"
        )
    if found["revoke"] is None:
        print("taking an edit back: not possible")
    else:
        for later, seconds in found["revoke"].items():
            print(f"taking an edit back, {later} made after it: {seconds:.3f} s")
        undone = found["undone"]
        print(
            f"of {undone['questions']} questions the edits changed the logits of "
            f"{undone['changed']}; with all taken back {undone['same']} are the unedited model's, "
            "bit for bit"
        )
    print(f"in {out / COST_FILE}")
