"""What a training set and an evaluation set share, counted in rows of the evaluation set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence, Set
from dataclasses import dataclass
from typing import Literal, get_args

from liveedit.data.annotations.record import Annotation

Leak = Literal[
    "shared_pictures",
    "shared_pictures_in_any_role",
    "shared_pairs",
    "shared_concepts",
    "shared_locality_probes",
    "shared_text_probes",
]
LEAKS: tuple[Leak, ...] = get_args(Leak)


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was found.

    Args:
        train: Training rows.
        evaluation: Evaluation rows.
        knows_concepts: Whether both sets say what their pictures show.
        leaks: For each evaluation row what it shares with training:

            - ``shared_pictures``: its corrected picture is corrected in training, too;
            - ``shared_pictures_in_any_role``: its corrected, rephrased or unrelated picture occurs
              in training, as any of the three;
            - ``shared_pairs``: its corrected picture and question are corrected in training, too;
            - ``shared_concepts``: its corrected picture shows what one corrected in training shows;
            - ``shared_locality_probes``: its unrelated picture and question, in training, too;
            - ``shared_text_probes``: its question without a picture, in training, too.
    """

    train: int
    evaluation: int
    knows_concepts: bool
    leaks: tuple[frozenset[Leak], ...]

    @property
    def counts(self) -> dict[Leak, int | None]:
        """Evaluation rows with each leak; None for concepts that are not known."""
        found = Counter(leak for row in self.leaks for leak in row)
        counts: dict[Leak, int | None] = {leak: found[leak] for leak in LEAKS}
        if not self.knows_concepts:
            counts["shared_concepts"] = None
        return counts

    @property
    def leaking(self) -> int:
        """Evaluation rows with any leak."""
        return sum(map(bool, self.leaks))


def audit(train: Sequence[Annotation], evaluation: Sequence[Annotation]) -> Audit:
    """Compare two sets.

    Pictures are the same if they have the same path, or the same scene; questions if they differ in
    capitals and white space at most.
    """
    traits = [_traits(row) for row in train]
    seen: dict[Leak, set[Hashable]] = {
        leak: set().union(*(trait[leak] for trait in traits)) for leak in LEAKS
    }
    return Audit(
        train=len(train),
        evaluation=len(evaluation),
        knows_concepts=all(any(row.concepts for row in rows) for rows in (train, evaluation)),
        leaks=tuple(
            frozenset(leak for leak, has in _traits(row).items() if has & seen[leak])
            for row in evaluation
        ),
    )


def _traits(row: Annotation) -> dict[Leak, Set[Hashable]]:
    """What must not be in both sets, by the leak that it would be."""
    probe = row.image_locality
    return {
        "shared_pictures": {row.image},
        "shared_pictures_in_any_role": set(row.pictures),
        "shared_pairs": {(row.image, _same(row.prompt))},
        "shared_concepts": row.concepts,
        "shared_locality_probes": {(probe.image, _same(probe.question))},
        "shared_text_probes": {_same(row.text_locality.question)},
    }


def _same(question: str) -> str:
    return " ".join(question.casefold().split())
