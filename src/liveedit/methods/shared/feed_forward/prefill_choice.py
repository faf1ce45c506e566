"""Changes of a feed-forward network that the prefill's own pass chooses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

from jaxtyping import Bool, Float
from torch import Tensor

from liveedit.backbones.query import Query, Questions
from liveedit.backbones.spans import Spans
from liveedit.methods.shared.feed_forward.network import FeedForward, FeedForwardChange
from liveedit.methods.shared.feed_forward.passes import Passes, at_last
from liveedit.methods.shared.undamaged import with_undamaged
from liveedit.store.pool import Pool

C = TypeVar("C")
Keys: TypeAlias = Float[Tensor, "batch width"]
# from what enters the network and where questions lie in it
ReadKeys: TypeAlias = Callable[[Tensor, Spans], Keys]
Where: TypeAlias = Bool[Tensor, "rows length"]


def keys_alone(network: FeedForward, questions: Questions, read: ReadKeys = at_last) -> Keys:
    """Keys of questions that are asked alone, whatever preceded them.

    Args:
        network: Of the unedited model; no layer above is run.
        questions: The batch.
        read: What a key is.
    """
    alone = questions.alone
    query = network.backbone.query(alone.pictures, alone.prompts)
    return read(network.entering(query), query.spans)


@contextmanager
def changed_as_chosen(
    network: FeedForward,
    questions: Questions,
    pool: Pool,
    *,
    choose: Callable[[Keys, Pool], C | None],
    change_by: Callable[[C, int, Where], FeedForwardChange],
    read: ReadKeys = at_last,
) -> Iterator[Query]:
    """Within this context the network is changed at the tokens of answers.

    What precedes a question changes its key: it decides as if it were asked alone.

    Args:
        network: What is changed.
        questions: The batch.
        pool: The edits. Those that are found to be damaged are left out.
        choose: What is changed, by the keys of the questions; None if nothing is.
        change_by: The change by what was chosen, how many rows of the pass stand for one question,
            and which of its tokens an answer is made of.
        read: What a key is.
    """
    query = network.backbone.query(
        questions.pictures, questions.prompts, questions.targets, histories=questions.histories
    )
    if not pool.eligible.any():
        yield query
        return
    passes = Passes(query.spans)
    chosen: list[C | None] = []

    def decide(keys: Keys) -> None:
        chosen.append(with_undamaged(pool, lambda left: choose(keys, left)))

    if questions.histories is not None:
        decide(keys_alone(network, questions, read))

    def change(entered: Tensor, left: Tensor) -> Tensor | None:
        times = passes.times(entered)
        if not chosen:
            decide(read(entered[::times], query.spans))
        if chosen[0] is None:
            return None
        return change_by(chosen[0], times, passes.answers(entered))(entered, left)

    with network.changing(change):
        yield query
