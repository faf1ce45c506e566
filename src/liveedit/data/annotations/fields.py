"""The fields of one JSON object, every problem in them noted instead of raised.

So a check can name all that is wrong with a row at once, and reading can stop at the first row.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from liveedit.correction import MAX_CHARACTERS

_LONGEST = MAX_CHARACTERS["prompt"]
_JSON_WORDS: dict[type, str] = {
    str: "text",
    int: "a number",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


def json_word(value: object) -> str:
    """What kind of JSON value this is, in words."""
    return _JSON_WORDS[type(value)]


class Fields:
    """Reads fields of an object; where one cannot be used a stand-in is returned.

    Args:
        values: The object.
        prefix: Where the object is in its row, such as ``port_new[0].``.
        problems: Where to note problems; a list of its own by default.

    Attributes:
        problems: One clause for each field that cannot be used, in the order of reading.
    """

    def __init__(
        self, values: Mapping[str, Any], prefix: str = "", problems: list[str] | None = None
    ) -> None:
        self._values = values
        self._prefix = prefix
        self.problems: list[str] = [] if problems is None else problems

    def __contains__(self, field: str) -> bool:
        return field in self._values

    def text(self, field: str, *, limit: int = _LONGEST, may_be_empty: bool = False) -> str:
        """Text without white space around it, as a correction takes it."""
        if field not in self._values:
            return self.reject(field, "is missing")
        return self._checked(field, self._values[field], limit, may_be_empty)

    def texts(self, field: str) -> tuple[str, ...]:
        """One text, or a list of at least one."""
        value = self._values.get(field)
        if not isinstance(value, list):
            return (self.text(field),)
        if not value:
            self.reject(field, "is an empty list")
        return tuple(
            self._checked(f"{field}[{index}]", item, _LONGEST, False)
            for index, item in enumerate(value)
        )

    def picture(self, field: str) -> PurePosixPath:
        """Path of a picture, below the folder of pictures."""
        path = PurePosixPath(self.text(field))
        if path.is_absolute() or ".." in path.parts:
            self.reject(field, "leads out of the folder of pictures")
        return path

    def inner(self, field: str) -> Fields:
        """An object within this one; its problems are noted as this one's."""
        if field in self._values:
            return self._within(field, self._values[field])
        self.reject(field, "is missing")
        return Fields({})

    def inner_list(self, field: str) -> list[Fields]:
        """The objects of a list within this one, none where the field is absent."""
        value = self._values.get(field, [])
        if not isinstance(value, list):
            self.reject(field, f"is {json_word(value)}, not a list")
            return []
        return [self._within(f"{field}[{index}]", item) for index, item in enumerate(value)]

    def one_of(self, field: str, meanings: Mapping[str, int]) -> int:
        """What a text that can only be one of a few means."""
        value = self._values.get(field)
        if isinstance(value, str) and value in meanings:
            return meanings[value]
        self.reject(field, f"is none of {', '.join(meanings)}")
        return next(iter(meanings.values()))

    def reject(self, field: str, problem: str) -> str:
        """Note a problem; gives the stand-in for the text."""
        self.problems.append(f"field {self._prefix + field!r} {problem}")
        return "-"

    def _within(self, field: str, value: object) -> Fields:
        if isinstance(value, dict):
            return Fields(value, f"{self._prefix}{field}.", self.problems)
        self.reject(field, f"is {json_word(value)}, not an object")
        return Fields({})  # its fields are missing because it is, which is said already

    def _checked(self, field: str, value: object, limit: int, may_be_empty: bool) -> str:
        if not isinstance(value, str):
            return self.reject(field, f"is {json_word(value)}, not text")
        value = value.strip()
        if not value and not may_be_empty:
            return self.reject(field, "is empty")
        if len(value) > limit:
            return self.reject(field, f"has {len(value)} characters, more than {limit}")
        if "\0" in value:
            return self.reject(field, "holds a NUL character")
        if any("\ud800" <= character <= "\udfff" for character in value):
            return self.reject(field, "holds half a surrogate pair")
        return value
