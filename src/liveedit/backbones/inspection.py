"""How a model reads a sample prompt with a picture: its tokens by span, and a drawing of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from PIL import Image, ImageDraw, ImageFont

from liveedit.backbones.adapter_folders import adapter_settings, check_adapter, is_adapter
from liveedit.backbones.adapter_folders import described as adapter
from liveedit.backbones.base import Backbone
from liveedit.backbones.chat import expanded
from liveedit.backbones.quantisation import check_readable
from liveedit.backbones.quantisation import described as quantised
from liveedit.backbones.spans import find_spans
from liveedit.errors import LiveEditError
from liveedit.saving.hub import cached_folder

Kind = Literal["vision", "prompt", "target", "other"]
COLOURS: dict[Kind, str] = {
    "vision": "#3b7dd8",
    "prompt": "#2e9e5b",
    "target": "#d9822b",
    "other": "#8a8f98",
}
_QUESTION, _TARGET = "What is this?", "a red circle"


@dataclass(frozen=True, kw_only=True)
class TokenRun:
    """Neighbouring tokens of one span.

    Args:
        kind: The span; ``other`` is in none, and not read.
        text: The tokens; of image tokens one of them.
        tokens: How many.
    """

    kind: Kind
    text: str
    tokens: int


def sample(backbone: Backbone, image: Image.Image) -> tuple[TokenRun, ...]:
    """Spans of a question about a picture and its answer; the vision tower is not run."""
    _, texts = backbone.read_images([image])
    prompt = backbone.prompt_text(_QUESTION, images=1)
    answer = backbone.target_ids(_TARGET, prompt)
    ids = torch.tensor([backbone.encode(expanded(prompt, backbone.marker, texts)) + answer])
    spans = find_spans(
        ids, torch.ones_like(ids), backbone.image_token_id, torch.tensor([len(answer)])
    )
    named: tuple[tuple[Kind, torch.Tensor], ...] = (
        ("vision", spans.vision[0]), ("prompt", spans.prompt[0]), ("target", spans.target[0])
    )  # fmt: skip
    kinds: list[Kind] = [
        next((kind for kind, span in named if span[at]), "other") for at in range(ids.shape[1])
    ]
    runs, start = [], 0
    for at in range(1, len(kinds) + 1):
        if at == len(kinds) or kinds[at] != kinds[start]:
            shown = ids[0, start : start + 1 if kinds[start] == "vision" else at]
            text = backbone.tokenizer.decode(shown)
            runs.append(TokenRun(kind=kinds[start], text=text, tokens=at - start))
            start = at
    return tuple(runs)


def told_weights(backbone: Backbone) -> str:
    """What a folder's weights are in, and how they are quantised."""
    config = backbone.model.config
    dtype = str(getattr(config, "dtype", None) or "float32").removeprefix("torch.")
    settings = getattr(config, "quantization_config", None)
    return dtype if settings is None else f"{dtype}, quantised by {quantised(settings)}"


def told_adapter(model: str | Path) -> str | None:
    """An adapter of PEFT in a few words, and what it is for; None if the model is none."""
    folder = cached_folder(model)
    if folder is None or not is_adapter(folder):
        return None
    settings = adapter_settings(folder)
    return f"{adapter(settings)}, for {settings.get('base_model_name_or_path')}"


def problems_of(model: str | Path, backbone: Backbone) -> list[str]:
    """What keeps weights or an adapter from being loaded; a sentence each."""
    found = []
    folder = cached_folder(model)
    settings = getattr(backbone.model.config, "quantization_config", None)
    for check in (
        lambda: check_readable(folder, settings) if folder is not None else None,
        lambda: check_adapter(folder) if folder is not None and is_adapter(folder) else None,
    ):
        try:
            check()
        except LiveEditError as error:
            found.append(f"{error}.")
    return found


def drawing() -> Image.Image:
    """A picture to ask about."""
    picture = Image.new("RGB", (448, 336), "#dfe7f2")
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 230, 448, 336), fill="#7fa36b")
    draw.ellipse((154, 98, 294, 238), fill="#cc3333")
    return picture


def drawn(image: Image.Image, runs: tuple[TokenRun, ...]) -> Image.Image:
    """The picture with the tokens of the sample prompt beneath it, coloured by their span."""
    font, width, line = ImageFont.load_default(14), 720, 24
    height = round(image.height * width / image.width)
    boxes, x, y = [], 8, height + 10
    for run in runs:
        words = [f"{run.text} × {run.tokens}"] if run.kind == "vision" else run.text.split("\n")
        for number, words_of_line in enumerate(words):
            if number:
                x, y = 8, y + line
            size = round(font.getlength(words_of_line)) + 8
            if x + size > width - 8 and x > 8:
                x, y = 8, y + line
            boxes.append((run.kind, words_of_line, x, y, size))
            x += size + 2
    page = Image.new("RGB", (width, y + line + 8), "white")
    page.paste(image.resize((width, height)))
    draw = ImageDraw.Draw(page)
    for kind, words_of_line, x, y, size in boxes:
        draw.rectangle((x, y, x + size, y + line - 4), fill=COLOURS[kind])
        draw.text((x + 4, y + 2), words_of_line, fill="white", font=font)
    draw.rectangle((0, 0, width - 1, height - 1), outline=COLOURS["vision"], width=4)
    return page
