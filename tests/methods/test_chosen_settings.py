"""Settings from files: what is wrong with them is named."""

from __future__ import annotations

import json

import pytest

from liveedit.errors import BadSettings
from liveedit.methods.chosen_settings import read_chosen, settings_of
from liveedit.methods.registry import method_class, method_names

WISE = method_class("wise")


def test_every_method_has_a_space_that_it_takes() -> None:
    for name in method_names():
        kind = method_class(name)
        space = kind.config_class.search_space
        assert space, f"{name} has nothing to tune"
        for setting, values in space.items():
            assert len(set(values)) == len(values) > 1
            for value in values:
                assert getattr(settings_of(kind, {setting: value}), setting) == value


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"rat": 0.3}, "no setting 'rat'; did you mean 'rate'"),
        ({"zzz": 1}, "no setting 'zzz'; it has supersede, layer"),
        ({"rate": 0.7}, "rate = 0.7 is outside the space .* take one of 0.1, 0.3, 1.0, or the"),
        ({"rate": "fast"}, "rate = 'fast' is outside the space"),
        ({"steps": 0}, "steps = 0 is no setting of the method 'wise' .*greater"),
    ],
)
def test_what_a_method_does_not_take_is_named(values, said) -> None:
    with pytest.raises(BadSettings, match=said):
        settings_of(WISE, values)


def test_defaults_and_what_is_not_searched_are_taken() -> None:
    kind = method_class("ft-l")
    assert settings_of(kind, {"norm": 5e-3}) == kind.config_class()  # not in its space
    assert settings_of(WISE, {"rate": 1, "steps": 3}).steps == 3


@pytest.mark.parametrize("content", ["nonsense", "{}", "[]", '{"method": "wise", "settings": 3}'])
def test_a_file_that_holds_none_is_refused(tmp_path, content) -> None:
    path = tmp_path / "chosen.json"
    with pytest.raises(BadSettings, match=r"holds no settings"):
        read_chosen(path, WISE)
    path.write_text(content)
    with pytest.raises(BadSettings, match=r"holds no settings"):
        read_chosen(path, WISE)


def test_settings_of_another_method_are_refused(tmp_path) -> None:
    path = tmp_path / "chosen.json"
    path.write_text(json.dumps({"method": "grace", "settings": {"rate": 0.1}}))
    with pytest.raises(BadSettings, match=r"of the method 'grace'; give --method grace"):
        read_chosen(path, WISE)
