"""Keeping the language model's update silent on text: it may not read what text-only chat uses.

An update B A of a matrix changes the output by B (A x). The inputs x of text-only chat lie mostly
in few directions; A is kept orthogonal to those that carry most of their energy, and so reads what
pictures put into the rest (the idea of AlphaEdit's null space, Fang et al., arXiv 2410.02355).
What B A still makes of the rest is known in closed form, and so can be part of the loss.

Every token's input counts the same: unscaled, the few positions with huge activations would carry
nearly all energy of some matrices, and the update would be loud everywhere else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm
from transformers import PreTrainedTokenizerBase

from liveedit.data.easy_vqa import Turn
from liveedit.pocket.alignment.conversation import tokenise

ENERGY = 0.99  # share of the energy of text-only inputs that the update may not read
_BATCH = 64
_TINY = 1e-10  # keeps the root's slope finite where nothing has changed


@dataclass(frozen=True, kw_only=True)
class TextInputs:
    """What a matrix reads in text-only chat, by principal direction.

    Args:
        strong: Orthonormal directions that carry ``ENERGY`` of it.
        weak: The other directions, each as long as the root of the energy it carries, relative
            to the energy of what the matrix puts out.
    """

    strong: Float[Tensor, "width strong"]
    weak: Float[Tensor, "width weak"]


@torch.no_grad()
def text_inputs(
    language_model: nn.Module,
    matrices: Sequence[str],
    turns: Sequence[Turn],
    tokenizer: PreTrainedTokenizerBase,
) -> dict[str, TextInputs]:
    """Measure what matrices read in text-only chat.

    Args:
        language_model: Not yet updated.
        matrices: Names of linear modules in it.
        turns: The chat.
        tokenizer: Its tokeniser.
    """
    energy: dict[str, Tensor] = {}
    with _measured(language_model, matrices, energy) as attention:
        for start in tqdm(range(0, len(turns), _BATCH), desc="text inputs", unit="batch"):
            some = [(turn,) for turn in turns[start : start + _BATCH]]
            batch = tokenise(some, tokenizer=tokenizer)
            attention[:] = [batch.attention_mask]
            language_model(input_ids=batch.input_ids, attention_mask=batch.attention_mask.long())
    return {
        name: _split(matrix, language_model.get_submodule(name).weight)  # type: ignore[arg-type]
        for name, matrix in energy.items()
    }


@torch.no_grad()
def keep_out(trained: Mapping[str, nn.Parameter], inputs: Mapping[str, TextInputs]) -> None:
    """Take the text's strong directions out of every ``lora_A``, in place."""
    for name, value in trained.items():
        if ".lora_A." in name:
            basis = inputs[_matrix(name)].strong
            value.sub_((value @ basis) @ basis.T)


def loudness(trained: Mapping[str, nn.Parameter], inputs: Mapping[str, TextInputs]) -> Tensor:
    """How much updates change what matrices put out on text-only chat, relative to all of it.

    The root of the share of energy, averaged over the matrices.
    """
    shares = []
    for name, down in trained.items():
        if ".lora_A." in name:
            up = trained[name.replace(".lora_A.", ".lora_B.")]
            change = up @ (down @ inputs[_matrix(name)].weak)
            shares.append(change.square().sum())
    return (torch.stack(shares) + _TINY).sqrt().mean()


def _matrix(name: str) -> str:
    return name.split(".lora_A.")[0].removeprefix("model.language_model.")


@contextmanager
def _measured(
    model: nn.Module, matrices: Sequence[str], energy: dict[str, Tensor]
) -> Iterator[list[Tensor]]:
    """Within this context sums of x x^T go into ``energy``; the list holds the attention mask."""
    attention: list[Tensor] = []

    def measure(name: str) -> object:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            seen = F.normalize(inputs[0][attention[0]].float(), dim=-1)
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


def _split(energy: Float[Tensor, "width width"], weight: Float[Tensor, "out width"]) -> TextInputs:
    values, vectors = torch.linalg.eigh(energy)
    values = values.clamp_min(0)
    spread = vectors * values.sqrt()
    put_out = (weight @ spread).square().sum()
    carried = values.flip(0).cumsum(0) / values.sum()
    weak = len(values) - int((carried < ENERGY).sum()) - 1
    return TextInputs(strong=vectors[:, weak:].contiguous(), weak=spread[:, :weak] / put_out.sqrt())
