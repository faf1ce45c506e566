"""The public datasets by name: their format, the paper's prompts, where they are published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from liveedit.data.annotations.comprehendedit import parse_comprehendedit
from liveedit.data.annotations.fields import Fields
from liveedit.data.annotations.mmedit import NATURAL_QUESTIONS_PREFIX, parse_mmedit
from liveedit.data.annotations.mmke_bench import KNOWLEDGE_TYPES, parse_mmke_bench
from liveedit.data.annotations.record import Annotation
from liveedit.data.annotations.templates import PromptTemplate
from liveedit.data.annotations.vlkeb import parse_vlkeb
from liveedit.errors import BadAnnotations, UnknownDataset

EMOJI_EDIT = "emoji-edit"  # drawn, not read: see `emoji`
PHOTO_EDIT = "photo-edit"  # from a folder of photographs by class: see `data.photo_edit`
CORRECTIONS = "corrections"  # of one's own, from a file or a dataset: see `data.stated_cases`


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A benchmark that comes as a JSON file and a folder of pictures.

    Args:
        name: As the command line takes it.
        parse: Makes a row of its fields, given the position in the file.
        template: The prompts of the paper's code, or of the authors' where the paper has none.
        published_rows: Rows of each published file, by file name; empty where nobody says.
        layout: Paths below the folder of pictures, with what lies there.
        sources: Where annotations and pictures are published.
    """

    name: str
    parse: Callable[[int, Fields], Annotation]
    template: PromptTemplate
    published_rows: Mapping[str, int]
    layout: tuple[tuple[str, str], ...]
    sources: tuple[tuple[str, str], ...]


_ANSWER = "{} The answer is:"
_MMEDIT_LAYOUT = (
    ("val2014/COCO_val2014_<12 digits>.jpg", "corrected and unrelated pictures"),
    ("val2014_image_rephrase/<name>.png", "rephrased pictures"),
)
_MMEDIT_SOURCES = (
    ("description", "https://github.com/zjunlp/EasyEdit/blob/main/examples/MMEdit.md"),
    ("annotations", "https://drive.google.com/drive/folders/1jBdTJxUb9wEeHnvG-RY8dv5_I4QlDpUS"),
    ("pictures", "https://drive.google.com/file/d/1fQzJBFkok5kFZT6QUuT-HCuYKk2Vb93O/view"),
)
E_VQA = Dataset(
    name="e-vqa",
    parse=parse_mmedit,
    template=PromptTemplate(
        correction=_ANSWER,
        text_locality=NATURAL_QUESTIONS_PREFIX + "{}?",
        image_locality=_ANSWER,
    ),
    published_rows={"vqa_train.json": 6345, "vqa_eval.json": 2093},
    layout=_MMEDIT_LAYOUT,
    sources=_MMEDIT_SOURCES,
)
E_IC = Dataset(
    name="e-ic",
    parse=parse_mmedit,
    template=PromptTemplate(
        text_locality=NATURAL_QUESTIONS_PREFIX + "{}?",
        image_locality=_ANSWER,
    ),
    published_rows={"caption_train_edit.json": 2849, "caption_eval_edit.json": 1000},
    layout=_MMEDIT_LAYOUT,
    sources=_MMEDIT_SOURCES,
)
VLKEB = Dataset(
    name="vlkeb",
    parse=parse_vlkeb,
    template=PromptTemplate(text_locality="{}?", image_locality=_ANSWER),
    published_rows={"train.json": 5000, "eval.json": 3174, "eval_edit_onehop.json": 1278},
    layout=(("m.<entity>/<search engine>_<number>.jpg", "all pictures, a folder an entity"),),
    sources=(
        ("description", "https://github.com/VLKEB/VLKEB"),
        ("annotations and pictures", "https://www.kaggle.com/datasets/hymanh/vlkeb-data"),
    ),
)
_SHORT = "Question: {} Short answer:"
COMPREHENDEDIT = Dataset(
    name="comprehendedit",
    parse=parse_comprehendedit,
    template=PromptTemplate(correction=_SHORT, text_locality="{}?", image_locality=_SHORT),
    published_rows={"ComprehendEdit_train.json": 13_450, "ComprehendEdit_test.json": 4482},
    layout=(
        ("GQA/images/<number>.jpg", "and MathVista, TallyQA, TextVQA, VSR: corrected pictures"),
        ("val2014/COCO_val2014_<12 digits>.jpg", "unrelated pictures"),
    ),
    sources=(("all", "https://github.com/yaohui120/ComprehendEdit"),),
)
MMKE_BENCH = Dataset(
    name="mmke-bench",
    parse=parse_mmke_bench,
    template=PromptTemplate(
        correction=_SHORT, text_locality=_SHORT, image_locality=_SHORT, portability=_SHORT
    ),
    published_rows={},
    layout=(("data_image/<entity, visual or user>/...", "all pictures"),),
    sources=(
        ("description", "https://github.com/MMKE-Bench-ICLR/MMKE-Bench"),
        (
            "annotations and pictures",
            "https://huggingface.co/datasets/kailinjiang/MMKE-Bench-dataset",
        ),
    ),
)
DATASETS = {dataset.name: dataset for dataset in (E_VQA, E_IC, VLKEB, MMKE_BENCH, COMPREHENDEDIT)}


def dataset_named(name: str) -> Dataset:
    """The dataset of a name, capitals or not.

    Raises:
        UnknownDataset: There is none; the error names the likeliest.
    """
    if name.casefold() in DATASETS:
        return DATASETS[name.casefold()]
    near = get_close_matches(name.casefold(), DATASETS, n=1, cutoff=0.5)
    raise UnknownDataset(name, known=list(DATASETS), nearest=near[0] if near else None)


def typical(rows: Sequence[object]) -> Dataset | None:
    """The dataset that the fields of the first row are typical of, if there is one."""
    row = rows[0] if rows and isinstance(rows[0], dict) else {}
    if "multimodal_locality_prompt" in row:
        return COMPREHENDEDIT
    if row.get("knowledge_type") in KNOWLEDGE_TYPES:
        return MMKE_BENCH
    if "port_new" in row or str(row.get("image")).startswith("m."):
        return VLKEB
    if str(row.get("loc")).startswith(NATURAL_QUESTIONS_PREFIX):
        return E_IC if row.get("src") == "a photo of" else E_VQA
    return None


def recognise(rows: Sequence[object], file: object) -> Dataset:
    """The dataset that the fields of the first row are typical of.

    Args:
        rows: What the file holds.
        file: Its path, for the error.

    Raises:
        BadAnnotations: They are typical of none.
    """
    found = typical(rows)
    if found is None:
        raise BadAnnotations(
            f"{file} is typical of none of {', '.join(DATASETS)}; say which with --dataset"
        )
    return found
