"""Files that hold what could be computed again; their names say what they must contain.

A file's name ends in the CRC-32 of its bytes. One that is damaged, cut short or of another kind is
as good as none.
"""

from __future__ import annotations

import logging
import mmap
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class DerivedFile:
    """What a file holds.

    Args:
        tensors: Mapped into memory, not read.
        metadata: Texts beside them.
    """

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]


def write_derived(
    folder: Path, name: str, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> Path | None:
    """Write a file in place of any earlier one of the name; None if the folder cannot be written.

    Other processes may do the same at the same time.
    """
    earlier = list(_files(folder, name))
    part = folder / f"{name}.{os.getpid()}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(
            {key: value.contiguous().cpu() for key, value in tensors.items()}, part, dict(metadata)
        )
        place = part.replace(folder / f"{name}-{_crc(part):08x}.safetensors")
    except (OSError, SafetensorError) as error:
        _log.info("%s cannot be kept in %s: %s", name, folder, error)
        with suppress(OSError):
            part.unlink(missing_ok=True)
        return None
    for old in earlier:
        if old != place:
            old.unlink(missing_ok=True)  # those who have it mapped go on with it
    return place


def read_derived(folder: Path, name: str) -> DerivedFile | None:
    """What was kept under a name; None if there is nothing that can be used."""
    for path in _files(folder, name):
        try:
            if path.stem != f"{name}-{_crc(path):08x}":
                _log.warning("%s is damaged and not used; it will be made again", path)
                continue
            with safe_open(path, framework="pt") as file:
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
                return DerivedFile(tensors=tensors, metadata=file.metadata() or {})
        except (OSError, SafetensorError, ValueError) as error:
            _log.info("%s cannot be used: %s", path, error)
    return None


def _files(folder: Path, name: str) -> Iterator[Path]:
    return folder.glob(f"{name}-????????.safetensors")


def _crc(path: Path) -> int:
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return zlib.crc32(data)
