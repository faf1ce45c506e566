"""Pictures in their tables: thumbnails, files each once, and what is kept of them at most.

Nothing here opens a picture, so that commands which only look at a store start at once.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from liveedit.store import schema
from liveedit.store.checksums import checksum
from liveedit.store.picture_rules import Keep, PictureRules

_log = logging.getLogger(__name__)
_stores, _pictures, _files, _parts = schema.stores, schema.pictures, schema.files, schema.parts
_SOME = 500  # names in one statement


@dataclass(frozen=True, kw_only=True)
class PictureUse:
    """What the pictures of a store take.

    Args:
        kept: How many are kept.
        bytes: What they take.
        edits: Edits with a picture that are not revoked.
        without: Those of them of which only a thumbnail is kept.
    """

    kept: int
    bytes: int
    edits: int
    without: int


def rules_of(connection: sa.Connection) -> PictureRules:
    """What a store keeps of pictures; nothing if it is of an earlier release and only read."""
    if not _has_files(connection):
        return PictureRules(keep=Keep.off)
    told = connection.scalar(sa.select(_stores.c.pictures))
    return PictureRules.from_json(json.loads(told or "{}"))


def set_rules(connection: sa.Connection, rules: PictureRules) -> None:
    """Keep so much from now on; what is kept stays."""
    connection.execute(_stores.update(), {"pictures": json.dumps(rules.as_json())})


def write_thumbnails(connection: sa.Connection, thumbnails: Mapping[str, bytes]) -> None:
    """Write those that are not there."""
    known = _known(connection, _pictures.c.image, thumbnails)
    fresh = [
        {"image": image, "thumbnail": data, "checksum": checksum(data)}
        for image, data in thumbnails.items()
        if image not in known
    ]
    if fresh:
        connection.execute(_pictures.insert(), fresh)


def write_files(
    connection: sa.Connection,
    files: Mapping[str, bytes],
    parts: Mapping[str, Sequence[str]],
) -> int:
    """Write the pictures that are not there, as far as the store's limits go.

    Args:
        connection: Of a writer.
        files: By the identity of a single picture.
        parts: Identities of single pictures, by that of several together.

    Returns:
        How many were written.
    """
    told = _known(connection, _parts.c.image, parts)
    rows = [
        {"image": image, "position": position, "picture": name}
        for image, names in parts.items()
        if image not in told
        for position, name in enumerate(names)
    ]
    if rows:
        connection.execute(_parts.insert(), rows)
    rules, written = rules_of(connection), 0
    if not files or rules.keep is Keep.off:
        return 0
    used = connection.scalar(sa.select(sa.func.sum(_files.c.bytes))) or 0
    known = _known(connection, _files.c.picture, files)
    for name, data in files.items():
        if name in known or len(data) > rules.each:
            continue
        if used + len(data) > rules.total:
            _log.warning(
                "pictures are not kept any more, only thumbnails: they take %.1f MB, and the store "
                "takes up to %.1f MB; raise the limit with: liveedit store pictures --total",
                used / 1e6, rules.total / 1e6,
            )  # fmt: skip
            break
        row = {"picture": name, "bytes": len(data), "checksum": checksum(data), "data": data}
        connection.execute(_files.insert(), row)
        used, written = used + len(data), written + 1
    return written


def parts_of(connection: sa.Connection, image: str) -> tuple[str, ...]:
    """Identities of the single pictures of an edit, in their order."""
    if not _has_files(connection):
        return (image,)
    query = sa.select(_parts.c.picture).where(_parts.c.image == image).order_by(_parts.c.position)
    return tuple(connection.scalars(query)) or (image,)


def read_files(connection: sa.Connection, image: str) -> tuple[bytes, ...]:
    """The pictures of an edit as files; empty if one is not kept, or is not what was written."""
    if not _has_files(connection):
        return ()
    found = []
    for name in parts_of(connection, image):
        row = connection.execute(sa.select(_files).where(_files.c.picture == name)).first()
        if row is None:
            return ()
        if checksum(row.data) != row.checksum:
            _log.error("picture %s differs from what was written; its thumbnail serves", name)
            return ()
        found.append(row.data)
    return tuple(found)


def picture_use(connection: sa.Connection, images: Sequence[str]) -> PictureUse:
    """What is kept for edits.

    Args:
        connection: A snapshot.
        images: Identities of the pictures of each edit that is not revoked.
    """
    count, size = 0, 0
    if _has_files(connection):
        totals = sa.select(sa.func.count(_files.c.bytes), sa.func.sum(_files.c.bytes))
        count, size = connection.execute(totals).one()
    without = len(lacking_files(connection, images))
    return PictureUse(kept=count, bytes=int(size or 0), edits=len(images), without=without)


def lacking_files(connection: sa.Connection, images: Sequence[str]) -> list[str]:
    """Those of some identities of pictures, or of several together, that are not kept."""
    if not _has_files(connection):
        return list(images)
    kept = set(connection.scalars(sa.select(_files.c.picture)))
    several = _several(connection)
    return [one for one in images if not kept.issuperset(several.get(one, (one,)))]


def unused_files(connection: sa.Connection, images: Collection[str]) -> list[str]:
    """Kept pictures that belong to none of some edits, by the identities of their pictures."""
    several = _several(connection)
    wanted = {name for image in images for name in several.get(image, (image,))}
    return [one for one in connection.scalars(sa.select(_files.c.picture)) if one not in wanted]


def damaged_files(connection: sa.Connection) -> Iterator[str]:
    """Kept pictures that are not what was written."""
    for name in connection.scalars(sa.select(_files.c.picture)).all():
        row = connection.execute(sa.select(_files).where(_files.c.picture == name)).one()
        if len(row.data) != row.bytes or checksum(row.data) != row.checksum:
            yield name


def drop_files(connection: sa.Connection, gone: Sequence[str]) -> int:
    """Drop kept pictures; how many there were."""
    for start in range(0, len(gone), _SOME):
        some = gone[start : start + _SOME]
        connection.execute(_files.delete().where(_files.c.picture.in_(some)))
    return len(gone)


def _several(connection: sa.Connection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    query = sa.select(_parts.c.image, _parts.c.picture).order_by(_parts.c.position)
    for image, name in connection.execute(query):
        found.setdefault(image, []).append(name)
    return found


def _known(connection: sa.Connection, column: sa.Column[str], names: Collection[str]) -> set[str]:
    listed, found = list(names), set()
    for start in range(0, len(listed), _SOME):
        some = column.in_(listed[start : start + _SOME])
        found |= set(connection.scalars(sa.select(column).where(some)))
    return found


def _has_files(connection: sa.Connection) -> bool:
    """Whether it is a store of this release; one of an earlier may be read, too."""
    return sa.inspect(connection).has_table(_files.name)
