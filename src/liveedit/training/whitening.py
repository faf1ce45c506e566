"""Directions along which states tell classes apart: linear discriminants, in closed form.

States of one class (a picture, drawn anew or asked about otherwise; a question, in other words or
about another picture) differ by what routing should not look at. Along directions in which they
differ much little counts; of what is left, those directions are kept in which classes differ most.
With within-class scatter ``S_w`` and between-class scatter ``S_b`` these are the leading
eigenvectors of ``S_w^(-1/2) S_b S_w^(-1/2)`` (Fisher 1936).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

_NEGLIGIBLE = 1e-4  # singular values below this share of the largest are noise of the arithmetic


def discriminants(
    vectors: Float[Tensor, "count width"],
    classes: Sequence[Hashable],
    *,
    directions: int,
    shrinkage: float,
) -> tuple[Float[Tensor, " width"], Float[Tensor, "width some"]]:
    """Centre and directions that tell classes apart.

    Vectors may be far fewer than they are wide: all is computed in the space they span.

    Args:
        vectors: States, at least two that differ.
        classes: The class of each.
        directions: How many to find at most.
        shrinkage: How far the within-class scatter is drawn towards a multiple of the identity,
            in [0, 1]; what little data say of it is not to be believed (Ledoit and Wolf 2004).

    Raises:
        ValueError: The vectors are all alike.
    """
    centre = vectors.mean(0)
    _, sizes, basis = torch.linalg.svd(vectors - centre, full_matrices=False)
    basis = basis[sizes > _NEGLIGIBLE * sizes[0].clamp(min=1e-12)]
    if not len(basis) or float(sizes[0]) < _NEGLIGIBLE:
        raise ValueError("the vectors are all alike")
    spanned = (vectors - centre) @ basis.T
    within, means = _scatter(spanned, _numbered(classes, vectors.device))
    size = within.diagonal().mean()
    within = (1 - shrinkage) * within + shrinkage * size * torch.eye(len(basis)).to(within)
    values, axes = torch.linalg.eigh(within)
    whitening = axes * values.clamp(min=1e-9 * float(values[-1])).rsqrt()
    apart = means @ whitening
    found = torch.linalg.eigh(apart.T @ apart / len(apart)).eigenvectors.flip(1)
    return centre, basis.T @ whitening @ found[:, :directions]


def _numbered(classes: Sequence[Hashable], device: torch.device) -> Int[Tensor, " count"]:
    numbers: dict[Hashable, int] = {}
    return torch.tensor([numbers.setdefault(one, len(numbers)) for one in classes], device=device)


def _scatter(
    vectors: Float[Tensor, "count width"], number: Int[Tensor, " count"]
) -> tuple[Float[Tensor, "width width"], Float[Tensor, "classes width"]]:
    """Covariance within classes, and the classes' means; of all where no class has two members."""
    counts = torch.bincount(number).to(vectors)
    means = vectors.new_zeros(len(counts), vectors.shape[1]).index_add(0, number, vectors)
    means /= counts[:, None]
    apart = vectors - means[number]
    freedom = float((counts - 1).sum())
    if not freedom:
        return vectors.T @ vectors / len(vectors), means
    return apart.T @ apart / freedom, means
