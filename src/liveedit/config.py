"""Settings: frozen, and strict about unknown keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """Base of all settings: immutable, keyword-only, unknown keys refused.

    ``search_space`` names the settings that are tuned, and the values that are tried.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    search_space: ClassVar[Mapping[str, Sequence[object]]] = MappingProxyType({})
