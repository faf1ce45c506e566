"""Small hand-written files in the published formats, and pictures for them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from PIL import Image

SHARED = Path(__file__).parents[3].parent / "shared" / "data"


def e_vqa_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    name = f"COCO_val2014_{number:012d}"
    return {
        "src": f"How many towers are on hill {number}?",
        "pred": "no",
        "rephrase": f"What is the number of towers on hill {number}?",
        "alt": "2",
        "image": f"val2014/{name}.jpg",
        "image_rephrase": f"val2014_image_rephrase/{number}_{name}.png",
        "loc": f"nq question: who wrote book {number}",
        "loc_ans": "Somebody",
        "m_loc": f"val2014/COCO_val2014_{900_000 + number:012d}.jpg",
        "m_loc_q": "What sport is this?",
        "m_loc_a": "curling",
        **changes,
    }


def e_ic_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    return e_vqa_row(number) | {
        "src": "a photo of",
        "rephrase": "a photograph of",
        "pred": "a bakery",
        "alt": "A cafe with donuts on the counter.",
        **changes,
    }


def mmke_bench_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    """As the authors' reader takes it: VLKEB's fields, and what kind of knowledge it is."""
    return vlkeb_row(number) | {
        "image": f"entity/{number}/a.jpg",
        "image_rephrase": f"entity/{number}/b.jpg",
        "m_loc": f"entity/1{number}/c.jpg",
        "knowledge_type": "entity_level",
        "rel_1": "Who founded it?",
        "rel_1_ans": "Nobody",
        **changes,
    }


def comprehendedit_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    """As the authors' page describes it."""
    return {
        "image": f"GQA/images/{number}.jpg",
        "question": f"What is bird {number} called?",
        "rephrase": f"What is the name of bird {number}?",
        "answer": f"parrot {number}",
        "source": "GQA",
        "Category": "object recognition",
        "pid": number,
        "img_topk": [1, 2],
        "locality_prompt": f"when was book {number} written",
        "locality_ground_truth": "1999",
        "multimodal_locality_image": f"val2014/COCO_val2014_{number:012d}.jpg",
        "multimodal_locality_prompt": "What sport is this?",
        "multimodal_locality_ground_truth": "curling",
        **changes,
    }


def vlkeb_row(number: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "src": "What city is shown?",
        "rephrase": "Which place is seen?",
        "pred": "Some_Town,_Texas",
        "alt": f"City {number}",
        "image": f"m.0{number}/google_1.jpg",
        "image_rephrase": f"m.0{number}/bing_2.jpg",
        "loc": f"who wrote book {number}",
        "loc_ans": "Somebody",
        "m_loc": f"m.1{number}/yahoo_3.jpg",
        "m_loc_q": "What county is shown?",
        "m_loc_a": "Some County",
        **changes,
    }


def one_hop(**changes: Any) -> dict[str, Any]:
    return {
        "port_edit_q": "What is City 0's time zone?",
        "port_edit_a": "Central",
        "port_q": "What is the time zone of the place in the picture?",
        "port_a": "Central",
        **changes,
    }


def multi_hop(length: int, **changes: Any) -> dict[str, Any]:
    asked = {"Question": f"What is {length} facts away?", "Answer": f"fact {length}"}
    return {"port_type": f"{length}-hop", "Q&A": asked, **changes}


def without(row: dict[str, Any], field: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != field}


def write(file: Path, rows: object) -> Path:
    file.write_text(json.dumps(rows), encoding="utf-8")
    return file


def make_pictures(images: Path, rows: Iterable[dict[str, Any]]) -> Path:
    """One tiny JPEG under every name that the rows hold."""
    images.mkdir(parents=True)
    first = images / "first.jpg"
    Image.new("RGB", (2, 2), "red").save(first)
    for name in {row[field] for row in rows for field in ("image", "image_rephrase", "m_loc")}:
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        os.link(first, images / name)
    return images
