"""Answers that somebody marked as wrong, until somebody has looked at them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

_metadata = sa.MetaData()
_reviews = sa.Table(
    "reviews",
    _metadata,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("namespace", sa.Text, nullable=False),
    sa.Column("prompt", sa.Text, nullable=False),
    sa.Column("answer", sa.Text, nullable=False),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("author", sa.Text, nullable=False),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("picture", sa.LargeBinary),
    sa.Column("done", sa.Text, nullable=False, default=""),
)
_MOST = 200


@dataclass(frozen=True, kw_only=True)
class Review:
    """An answer that is waiting to be looked at.

    Args:
        number: Its name.
        namespace: Whose edits answered.
        prompt, answer: What was asked and said.
        note: What whoever marked it says.
        author: Who marked it.
        created: When, UTC.
        pictured: Whether a picture is kept with it.
    """

    number: int
    namespace: str
    prompt: str
    answer: str
    note: str
    author: str
    created: str
    pictured: bool


class Reviews:
    """The queue, in a file of its own.

    Args:
        path: SQLite file; made if it is not there. In memory without one.
    """

    def __init__(self, path: Path | None) -> None:
        if path is None:
            self._engine = sa.create_engine(
                "sqlite://", poolclass=sa.StaticPool, connect_args={"check_same_thread": False}
            )
        else:
            self._engine = sa.create_engine(f"sqlite:///{path}")
        _metadata.create_all(self._engine)

    def add(
        self, *, namespace: str, prompt: str, answer: str, note: str, author: str,
        picture: bytes | None,
    ) -> int:  # fmt: skip
        """Put an answer into the queue."""
        row = {
            "namespace": namespace, "prompt": prompt, "answer": answer, "note": note,
            "author": author, "picture": picture, "done": "",
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
        with self._engine.begin() as connection:
            made = connection.execute(_reviews.insert(), row)
            key = made.inserted_primary_key
            assert key is not None
            return int(key[0])

    def waiting(self, namespace: str) -> list[Review]:
        """Those of a namespace that nobody has looked at, the oldest first."""
        columns = [column for column in _reviews.c if column.name not in ("picture", "done")]
        query = (
            sa.select(*columns, _reviews.c.picture.is_not(None).label("pictured"))
            .where((_reviews.c.namespace == namespace) & (_reviews.c.done == ""))
            .order_by(_reviews.c.number)
            .limit(_MOST)
        )
        with self._engine.begin() as connection:
            return [Review(**row._mapping) for row in connection.execute(query)]

    def picture(self, number: int, namespace: str) -> bytes | None:
        """The picture that was shown."""
        query = sa.select(_reviews.c.picture).where(
            (_reviews.c.number == number) & (_reviews.c.namespace == namespace)
        )
        with self._engine.begin() as connection:
            found: bytes | None = connection.scalar(query)
            return found

    def finish(self, number: int, namespace: str, author: str) -> bool:
        """Take one out of the queue; whether it was there."""
        query = (
            _reviews.update()
            .where(
                (_reviews.c.number == number)
                & (_reviews.c.namespace == namespace)
                & (_reviews.c.done == "")
            )
            .values(done=author or "-")
        )
        with self._engine.begin() as connection:
            return connection.execute(query).rowcount == 1
