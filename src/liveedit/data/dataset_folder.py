"""Corrections as Hugging Face's `datasets` keeps them: what ``save_to_disk`` wrote, or Parquet.

Only Arrow tables are read: no loading script runs, nothing is fetched, no pickle is opened.
Pictures within the tables are put into the cache folder, named by their content.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from liveedit.correction.images import MAX_FILE_BYTES, open_image
from liveedit.errors import BadImport, LiveEditError, MissingExtra
from liveedit.saving.cache_folder import cache_folder
from liveedit.saving.files import whole

logger = logging.getLogger(__name__)

_SAVED, _SAVED_PARTS = "state.json", "dataset_dict.json"  # what save_to_disk leaves
_TABLES = (".parquet", ".arrow")
_PICTURES = ("image", "images", "other_images", "locality_image")
_BATCH = 64


def is_dataset(path: Path) -> bool:
    """Whether a path is a dataset saved to disk, a table, or a folder of Parquet files."""
    if path.is_dir():
        saved = any((path / name).is_file() for name in (_SAVED, _SAVED_PARTS))
        return saved or bool(_parquet_of(path))
    return path.suffix.casefold() in _TABLES


def dataset_rows(path: Path, known: Sequence[str]) -> Iterator[tuple[int, object]]:
    """Rows by number, from 1, with what a corrections file would hold; or what is wrong with one.

    Args:
        path: See :func:`is_dataset`.
        known: Columns that are taken; others are left aside, and named.

    Raises:
        BadImport: It cannot be read, has several splits, or lacks prompt or target.
        MissingExtra: `datasets` is not installed.
    """
    with _told(path):
        yield from _rows(path, known)


def _rows(path: Path, known: Sequence[str]) -> Iterator[tuple[int, object]]:
    columns, batches = _opened(path)
    missing = [name for name in ("prompt", "target") if name not in columns]
    if missing:
        raise BadImport(
            f"{path} has no column {' and none '.join(missing)} (it has {', '.join(columns)}); "
            "rename its columns: image, prompt, target"
        )
    aside = [name for name in columns if name not in known]
    if aside:
        logger.warning("%s: columns left aside: %s", path, ", ".join(aside))
    number = 0
    for rows in batches:
        for row in rows:
            number += 1
            try:
                yield number, {name: _plain(name, row[name]) for name in columns if name in known}
            except (LiveEditError, ValueError) as error:
                yield number, ValueError(str(error))


_Opened = tuple[list[str], Iterator[list[dict[str, Any]]]]


def _opened(path: Path) -> _Opened:
    try:
        import datasets
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("datasets", extra="datasets") from None
    files = _parquet_of(path) if path.is_dir() else []
    if path.suffix.casefold() == ".parquet" and path.is_file():
        files = [path]
    if files:
        _one_split(path, files)
        tables = [parquet.ParquetFile(file) for file in files]
        columns = list(tables[0].schema_arrow.names)
        return columns, (
            batch.to_pylist() for table in tables for batch in table.iter_batches(_BATCH)
        )
    if path.is_file():
        found = datasets.Dataset.from_file(str(path))
    else:
        found = datasets.load_from_disk(str(_part(path)))
    batches = found.with_format("arrow").iter(batch_size=_BATCH)
    return list(found.column_names), (batch.to_pylist() for batch in batches)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the libraries raise of damaged tables into one sentence."""
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError) as error:  # Arrow's own are ValueErrors
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadImport(
            f"{path} cannot be read as a dataset ({why}); write it anew with Dataset.save_to_disk "
            "or Dataset.to_parquet"
        ) from error


def _part(path: Path) -> Path:
    """The only split of a saved dataset."""
    if (path / _SAVED).is_file():
        return path
    parts = sorted(one.name for one in path.iterdir() if (one / _SAVED).is_file())
    if len(parts) != 1:
        raise BadImport(
            f"{path} holds {', '.join(parts) or 'no split'}; give the folder of one split, such as "
            f"{path / (parts[0] if parts else 'train')}"
        )
    return path / parts[0]


def _parquet_of(folder: Path) -> list[Path]:
    """Parquet files of a folder, or of its folder ``data``, where the hub has them."""
    return sorted(folder.glob("*.parquet")) or sorted(folder.glob("data/*.parquet"))


def _one_split(path: Path, files: Sequence[Path]) -> None:
    """Refuse files of several splits, which the hub names ``train-00000-of-00001.parquet``."""
    splits = sorted({file.name.partition("-")[0].removesuffix(".parquet") for file in files})
    if len(splits) > 1 and {"test", "validation"} & set(splits):
        raise BadImport(
            f"{path} holds files of {', '.join(splits)}; give one file, or put those of one split "
            "into a folder of their own"
        )


def _plain(name: str, value: object) -> object:
    """What a corrections file would have in this field."""
    if name not in _PICTURES or value is None:
        return value
    if isinstance(value, list):
        return [_path(one) for one in value if one is not None]
    return _path(value)


def _path(picture: object) -> str:
    """Where a picture is; one that lies in the table is put into the cache folder."""
    if isinstance(picture, str):
        return picture
    if not isinstance(picture, Mapping) or not (picture.get("bytes") or picture.get("path")):
        raise ValueError(
            f"has no picture but {type(picture).__name__}; cast the column with "
            "cast_column(NAME, datasets.Image())"
        )
    data = picture.get("bytes")
    return str(picture["path"]) if data is None else str(_kept(data))


def _kept(data: bytes) -> Path:
    if len(data) > MAX_FILE_BYTES:
        raise ValueError(f"the picture is larger than {MAX_FILE_BYTES // 1_000_000} MB")
    file = cache_folder() / "pictures" / hashlib.sha256(data).hexdigest()[:32]
    if file.exists():
        return file
    open_image(data)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with whole(file) as part:
            part.write_bytes(data)
    except OSError as error:
        raise BadImport(
            f"{file.parent} cannot be written ({error.strerror}); free some of the disk, or set "
            "LIVEEDIT_CACHE to a folder elsewhere"
        ) from error
    return file
