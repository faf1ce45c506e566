"""ComprehendEdit: questions of eight kinds from five datasets (Ma et al., AAAI 2025).

Fields and prompts are those of its authors' page and reader (github.com/yaohui120/ComprehendEdit).
It has no other picture of the same thing: M-Gen is asked about the corrected picture, cropped and
saved anew. Neighbours by which its own indices (KGI, KPI) are counted are not read.
"""

from __future__ import annotations

from liveedit.correction import MAX_CHARACTERS
from liveedit.data.annotations.fields import Fields
from liveedit.data.annotations.record import Annotation, ImageLocality, TextLocality

# what is said beside the question, by the dataset that a row is from
_SAID = {
    "tallyqa": "{} Answer with a number.",
    "vsr": "Is this description true or false? Description: {}",
}


def parse_comprehendedit(row: int, fields: Fields) -> Annotation:
    """The row that these fields describe; what cannot be used is noted in ``fields``."""
    said = _SAID.get(fields.text("source").casefold(), "{}")
    image = fields.picture("image")
    return Annotation(
        row=row,
        image=image,
        prompt=said.replace("{}", fields.text("question")),
        target=fields.text("answer", limit=MAX_CHARACTERS["target"]),
        former_answer=None,
        rephrased_prompt=said.replace("{}", fields.text("rephrase")),
        rephrased_image=image,
        text_locality=TextLocality(
            question=fields.text("locality_prompt"),
            answer=fields.text("locality_ground_truth"),
        ),
        image_locality=ImageLocality(
            image=fields.picture("multimodal_locality_image"),
            question=fields.text("multimodal_locality_prompt"),
            answers=fields.texts("multimodal_locality_ground_truth"),
        ),
    )
