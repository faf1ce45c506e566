"""A crutch of the environment of ``make test-vllm``, and of nothing else.

vLLM imports torchvision when it looks at a model that sees. There the index has a torch for CPUs
alone, and a torchvision whose compiled part does not load beside it, so that its import fails for
two operators that nobody calls. They are declared when torchvision is first imported, in every
process: ``make test-vllm`` copies this file into the environment, with a line in a ``.pth`` file
that imports it. Where vLLM is installed as its manual says, torchvision fits, and none of this is.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

_OPERATORS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_declared: list[object] = []  # they are gone with the library that declares them


class _BeforeTorchvision(MetaPathFinder):
    """Finds nothing, but hears when torchvision is looked for."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        if name == "torchvision":
            sys.meta_path.remove(self)
            from torch.library import Library

            library = Library("torchvision", "DEF")
            for schema in _OPERATORS:
                library.define(schema)
            _declared.append(library)


sys.meta_path.insert(0, _BeforeTorchvision())
