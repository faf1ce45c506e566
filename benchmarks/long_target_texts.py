"""Made-up answers of many kinds and lengths, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

KINDS = ("20 tokens", "40 tokens", "100 tokens", "Chinese", "Arabic", "Devanagari", "emoji", "code",
         "numbers")  # fmt: skip

_THINGS = "pump|valve|lamp|gear box|door handle|filter|battery|camera|belt|sensor|heater".split("|")
_MAKERS = "Arden|Brightwater|Nordhaven|Calloway|Estrella|Quist|Tamsin|Ulmer".split("|")
_PLACES = "the north hall|store room four|the workshop|Lisbon|bay eleven".split("|")
_SENTENCES = (
    "This {thing} was made by {maker} in {year}.",
    "It belongs to {place} and must not be moved.",
    "Its part number is {small}-B{large}.",
    "Replace the {thing} every {small} months, or sooner if it is hot.",
    "Call extension {large} before you touch the {thing}.",
    "A spare {thing} is kept in {place}.",
    "It weighs {small} kilograms and costs {large} euros.",
)
_CHINESE = (
    ("这是", "那是", "图中是"),
    ("一只红色的", "一个旧的", "王先生的", "北京制造的"),
    ("狐狸", "水泵", "照相机", "茶壶", "灯笼", "钥匙"),
)
_ARABIC = (
    ("هذا", "هنا"),
    ("مفتاح", "مصباح", "كتاب", "باب"),
    ("قديم", "أحمر", "جديد", "صغير"),
    ("من القاهرة", "من بغداد", "للمهندس", "للمكتبة"),
)
_DEVANAGARI = (
    ("यह", "वह"),
    ("लाल", "पुराना", "नया", "छोटा"),
    ("दीपक", "घड़ा", "पहिया", "पंखा"),
    ("है", "था"),
)
_EMOJI = "🦊🔥🌊🍋🚲🎈🧭🪁🐙🌵🥁🧊"


def texts_of(kind: str, count: int, cut: Callable[[str, int], str], *, seed: int = 0) -> list[str]:
    """Different answers of a kind.

    Args:
        kind: One of ``KINDS``.
        count: How many.
        cut: Cuts a text after so many tokens.
        seed: Of the drawing.
    """
    draw = random.Random(f"{kind} {seed}")
    found: dict[str, None] = {}
    while len(found) < count:
        found[_text(kind, draw, cut)] = None
    return list(found)


def _text(kind: str, draw: random.Random, cut: Callable[[str, int], str]) -> str:
    if kind.endswith(" tokens"):
        length = int(kind.split()[0])
        told = ""
        while len(told) < 8 * length:
            told += _sentence(draw) + " "
        return cut(told, length)
    if kind == "emoji":
        return "".join(draw.sample(_EMOJI, draw.randint(2, 5)))
    if kind == "code":
        name, value = draw.choice(("total", "speed", "rows")), draw.randint(2, 99)
        return draw.choice(
            (
                f"SELECT {name} FROM parts WHERE id = {value};",
                f"def {name}(x):\n    return x * {value}",
                f'{{"{name}": [{value}, {value + 1}], "ok": true}}',
            )
        )
    if kind == "numbers":
        return draw.choice(
            (
                f"{draw.randint(1, 9)},{draw.randint(100, 999)}.{draw.randint(10, 99)} EUR",
                f"+49 {draw.randint(30, 99)} {draw.randint(100000, 999999)}",
                f"{draw.randint(1, 28)}.{draw.randint(1, 12)}.{draw.randint(1950, 2030)}",
                f"-{draw.randint(1, 9)}.{draw.randint(1000, 9999)}e-{draw.randint(2, 9)}",
            )
        )
    parts, between = {
        "Chinese": (_CHINESE, ""), "Arabic": (_ARABIC, " "), "Devanagari": (_DEVANAGARI, " ")
    }[kind]  # fmt: skip
    return between.join(_pick(draw, parts))


def _sentence(draw: random.Random) -> str:
    return draw.choice(_SENTENCES).format(
        thing=draw.choice(_THINGS),
        maker=draw.choice(_MAKERS),
        place=draw.choice(_PLACES),
        year=draw.randint(1961, 2024),
        small=draw.randint(2, 99),
        large=draw.randint(2000, 9999),
    )


def _pick(draw: random.Random, parts: Sequence[Sequence[str]]) -> list[str]:
    return [draw.choice(some) for some in parts]
