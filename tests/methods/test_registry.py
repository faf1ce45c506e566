"""Methods are found by name: ours, and those of installed packages."""

import json
import subprocess
import sys

import pytest

from liveedit.backbones.sources import model_source
from liveedit.errors import BrokenPlugin, UnknownMethod
from liveedit.methods.base import Method
from liveedit.methods.registry import method_class, method_names


@pytest.mark.parametrize("name", method_names())
def test_every_method_has_what_the_contract_asks_for(name: str) -> None:
    found = method_class(name)
    assert issubclass(found, Method)
    assert found.name == name
    assert found.config_class.model_config["frozen"]
    assert found.config_class.model_config["extra"] == "forbid"
    config = found.config_class()  # every setting has a default
    for setting, values in config.search_space.items():
        assert len(set(values)) > 1
        for value in values:
            found.config_class(**{setting: value})
    assert (found.__doc__ or "").strip()
    assert not found.__abstractmethods__


def test_an_unknown_method_names_its_neighbour() -> None:
    with pytest.raises(
        UnknownMethod, match=r"among .*liveedit.*retrieval.*did you mean 'liveedit'"
    ):
        method_class("livedit")
    with pytest.raises(UnknownMethod, match="give one of those"):
        method_class("xyz")


def test_a_package_offers_a_method(plugins) -> None:
    assert "repeat" in method_names()
    assert method_class("repeat").name == "repeat"


def test_a_broken_package_is_named_and_the_others_work(plugins) -> None:
    with pytest.raises(
        BrokenPlugin, match=r"'broken' of the package liveedit-broken.*its own library is missing"
    ):
        method_class("broken")
    assert method_class("repeat").name == "repeat"
    with pytest.raises(BrokenPlugin, match="the model 'broken-model'"):
        model_source("broken-model")
    assert model_source("pocket") is not None
    listed = subprocess.run(
        [sys.executable, "-m", "liveedit", "methods", "--json"], capture_output=True, text=True
    )
    assert listed.returncode == 1
    found = {one["method"]: one for one in json.loads(listed.stdout)}
    assert {"liveedit", "retrieval", "repeat", "broken"} <= set(found)
    assert [name for name, one in found.items() if one["problem"]] == ["broken"]


def test_names_are_known_without_importing_the_methods() -> None:
    code = (
        "import sys; from liveedit.methods.registry import method_names; print(method_names());"
        "assert not any(name.endswith('.method') for name in sys.modules), sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
