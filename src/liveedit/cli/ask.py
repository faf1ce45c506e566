"""``liveedit ask``: a question to the edited model."""

from __future__ import annotations

import json
from pathlib import Path

import typer

from liveedit.cli.common import (
    AS_OF,
    DEVICE,
    DTYPE,
    EDITOR,
    JSON,
    MODEL,
    OF_STORE,
    SETTINGS,
    STORE,
    Dtype,
    load,
)

_SHOWN = 100  # edits that are looked at for an explanation


def ask(
    image: str = typer.Argument(help="PNG, JPEG or WEBP file; - for a question without a picture."),
    question: str = typer.Argument(help="What to ask."),
    store: str = STORE,
    as_of: int | None = AS_OF,
    namespace: str = typer.Option("", help="The set of edits that may answer."),
    explain: bool = typer.Option(False, "--explain", help="Say which edits came nearest."),
    max_new_tokens: int = typer.Option(256, min=1, help="Longest answer."),
    method: str | None = OF_STORE,
    model: str = MODEL,
    device: str = DEVICE,
    dtype: Dtype = DTYPE,
    editor: Path | None = EDITOR,
    settings: Path | None = SETTINGS,
    as_json: bool = JSON,
) -> None:
    """Ask about a picture, with the edits of a store in force; with --server URL a server."""
    edited = load(
        model, editor, store, method=method, settings=settings, device=device, dtype=dtype
    )
    picture = None if image == "-" else image
    revision = edited.store.revision if as_of is None else as_of
    with edited.at(revision), edited.namespace(namespace):
        answer = edited.generate(picture, question, max_new_tokens=max_new_tokens)
        told = explain or as_json
        found = edited.explain(picture, question, most=_SHOWN) if told else []
    used = [one for one in found if one.weight > 0]
    if as_json:
        print(
            json.dumps(
                {
                    "answer": answer,
                    "revision": revision,
                    "edits": [
                        {
                            "id": one.edit.id,
                            "weight": one.weight,
                            "vision": one.vision,
                            "threshold": one.threshold,
                            "prompt": one.prompt,
                            "passes": one.passes,
                        }
                        for one in (found if explain else used)
                    ],
                },
                ensure_ascii=False,
            )
        )
        return
    print(answer)
    if explain:
        print(f"revision {revision}; edits that pass: {len(used)}")
        for one in found[:10]:
            print(
                f"  {one.edit.id}  weight {one.weight:.2f}  picture {one.vision:.2f} "
                f"(must exceed {one.threshold:.2f})  question {one.prompt:.2f}  "
                f"{one.edit.prompt} -> {one.edit.target}"
            )
