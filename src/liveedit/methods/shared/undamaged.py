"""An edit that turns out to be damaged is left out, and the others answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from liveedit.errors import DamagedEdit
from liveedit.store.pool import Pool

T = TypeVar("T")


def with_undamaged(pool: Pool, use: Callable[[Pool], T]) -> T:
    """What can be made of a pool without the edits that are found to be damaged meanwhile.

    Args:
        pool: The edits.
        use: Reads values of some of them.
    """
    while True:
        try:
            return use(pool)
        except DamagedEdit as error:
            pool = pool.without(error.edit_id)
