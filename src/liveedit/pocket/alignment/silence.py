"""Keeping the language model's update silent on text: it may not read what text-only chat uses.

An update B A of a matrix changes the output by B (A x). The inputs x of text-only chat lie mostly
in few directions; A is kept orthogonal to those that carry most of their energy, and so reads what
pictures put into the rest (the idea of AlphaEdit's null space, Fang et al., arXiv 2410.02355).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from jaxtyping import Float
from torch import Tensor, nn
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from liveedit.pocket.alignment.conversation import Turn, tokenise

ENERGY = 0.95  # share of the energy of text-only inputs that the update may not read
_BATCH = 64


@torch.no_grad()
def text_directions(
    language_model: nn.Module,
    matrices: Sequence[str],
    turns: Sequence[Turn],
    tokenizer: PreTrainedTokenizerBase,
) -> dict[str, Float[Tensor, "width directions"]]:
    """Orthonormal directions that carry most of what the matrices read in text-only chat.

    Args:
        language_model: Not yet updated.
        matrices: Names of linear modules in it.
        turns: The chat.
        tokenizer: Its tokeniser.
    """
    energy: dict[str, Tensor] = {}
    with _measured(language_model, matrices, energy) as attention:
        for start in tqdm(range(0, len(turns), _BATCH), desc="text directions", unit="batch"):
            some = [(turn,) for turn in turns[start : start + _BATCH]]
            batch = tokenise(
                some,
                with_image=[False] * len(some),
                tokenizer=tokenizer,
                image_tokens=0,
                image_token_id=-1,
            )
            attention[:] = [batch.attention_mask]
            language_model(input_ids=batch.input_ids, attention_mask=batch.attention_mask.long())
    return {name: _strongest(matrix) for name, matrix in energy.items()}


@torch.no_grad()
def keep_out(
    trained: Mapping[str, nn.Parameter], directions: Mapping[str, Float[Tensor, "width directions"]]
) -> None:
    """Take the text's directions out of every ``lora_A``, in place."""
    for name, value in trained.items():
        if ".lora_A." in name:
            matrix = name.split(".lora_A.")[0].removeprefix("model.language_model.")
            basis = directions[matrix]
            value.sub_((value @ basis) @ basis.T)


@contextmanager
def _measured(
    model: nn.Module, matrices: Sequence[str], energy: dict[str, Tensor]
) -> Iterator[list[Tensor]]:
    """Within this context sums of x x^T go into ``energy``; the list holds the attention mask."""
    attention: list[Tensor] = []

    def measure(name: str) -> object:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen = inputs[0][attention[0]].float()
            energy[name] = energy.get(name, 0) + seen.T @ seen

        return hook

    handles = [
        model.get_submodule(name).register_forward_pre_hook(measure(name))  # type: ignore[arg-type]
        for name in matrices
    ]
    try:
        yield attention
    finally:
        for handle in handles:
            handle.remove()


def _strongest(energy: Float[Tensor, "width width"]) -> Float[Tensor, "width directions"]:
    values, vectors = torch.linalg.eigh(energy)
    carried = values.flip(0).cumsum(0) / values.sum()
    count = int((carried < ENERGY).sum()) + 1
    return vectors[:, -count:].contiguous()
