"""Rows of the public benchmarks as corrections that people stated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from liveedit.data.annotations.record import Annotation
from liveedit.data.corrections_file import CorrectionRow


def stated_rows(rows: Sequence[Annotation], images: Path) -> list[CorrectionRow]:
    """What every reader of corrections gives, of rows in their affixes.

    Args:
        rows: Of a public benchmark.
        images: Folder of pictures.
    """
    return [
        CorrectionRow(
            line=row.row + 1,
            images=(images / cast(Path, row.image),),
            prompt=row.prompt,
            target=row.target,
            rephrasings=(row.rephrased_prompt,),
            other_images=()
            if row.rephrased_image == row.image
            else (images / cast(Path, row.rephrased_image),),
            concept=" ".join(sorted(row.concepts)),
            text_locality=row.text_locality.question,
            locality_image=images / cast(Path, row.image_locality.image),
            locality_prompt=row.image_locality.question,
        )
        for row in rows
    ]
