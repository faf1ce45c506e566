"""Print what a wheel of vLLM asks for, without torch and what comes with it.

``make test-vllm`` installs torch first, and this after it: the wheel names builds of torch, and of
what comes with torch, that an index for CPUs alone does not have.
"""

from __future__ import annotations

import sys
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

_WITH_TORCH = {"torch", "torchvision", "torchaudio", "torchcodec", "intel-openmp"}


def requirements(wheel: Path) -> list[str]:
    """Lines for pip: what the wheel asks for on this machine, but for torch and its companions.

    Args:
        wheel: The file.
    """
    with ZipFile(wheel) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    asked = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    return [
        f"{one.name}{'[' + ','.join(sorted(one.extras)) + ']' if one.extras else ''}{one.specifier}"
        for one in asked
        if canonicalize_name(one.name) not in _WITH_TORCH
        and (one.marker is None or one.marker.evaluate({"extra": ""}))
    ]


if __name__ == "__main__":
    print("\n".join(requirements(Path(sys.argv[1]))))
