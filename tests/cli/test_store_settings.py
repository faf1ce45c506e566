"""A store keeps its method's settings: they are given once."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from liveedit import EditedModel, cli
from liveedit.errors import BadSettings
from liveedit.methods.grace.config import GraceConfig
from liveedit.store.kept_settings import keep_settings
from liveedit.store.log import EditLog

Run = Callable[..., Any]
ADD = ("edit", "add", "--image", "0.png", "--prompt", "What is this?", "--target", "tea", "--keep")


@pytest.fixture
def run(tiny_folder: Path, folder: Path, loaded, monkeypatch, capsys) -> Run:
    """Run the command; what it printed, as JSON unless it is to fail."""
    monkeypatch.setattr("liveedit.editor.lifetime.load_backbone", lambda *_, **__: loaded)

    def run(*arguments: str, status: int = 0) -> Any:
        model = ("--model", str(tiny_folder)) if arguments[:2] == ADD[:2] else ()
        monkeypatch.setattr(sys, "argv", ["liveedit", *arguments, *model, "--json"])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == status, printed.err
        return printed.err if status else json.loads(printed.out)

    return run


@pytest.fixture
def settings(folder: Path) -> str:
    chosen = {"method": "grace", "settings": {"radius": 4.0, "steps": 3}}
    (folder / "chosen.json").write_text(json.dumps(chosen))
    return "chosen.json"


def opened(tiny_folder: Path, **more) -> EditedModel:
    return EditedModel.from_pretrained(
        tiny_folder, method="grace", store="edits.db", dtype=torch.float32, **more
    )


def test_what_a_store_was_made_with_holds_until_others_are_given(
    run: Run, settings: str, tiny_folder: Path
) -> None:
    run(*ADD, "--method", "grace", "--settings", settings)
    assert run("store", "settings") == {"method": "grace", "settings": {"radius": 4.0, "steps": 3}}
    assert run("store", "info")["settings"] == {"radius": 4.0, "steps": 3}
    assert opened(tiny_folder).method.config == GraceConfig(radius=4.0, steps=3)
    given = GraceConfig(radius=1.0)
    assert opened(tiny_folder, config=given).method.config == given
    assert opened(tiny_folder).method.config.radius == 4.0, "what is given holds for once"
    assert run("store", "settings", "--defaults")["settings"] == {}
    assert opened(tiny_folder).method.config == GraceConfig()
    assert run("store", "settings", "--keep", settings)["settings"] == {"radius": 4.0, "steps": 3}
    assert opened(tiny_folder).method.config == GraceConfig(radius=4.0, steps=3)


def test_the_method_need_not_be_named(run: Run, settings: str, tiny_folder: Path) -> None:
    made = run(*ADD, "--settings", settings)  # the method is the one that they are of
    assert run("store", "info")["method"] == "grace"
    model = EditedModel.from_pretrained(tiny_folder, store="edits.db", dtype=torch.float32)
    assert (model.method.name, model.method.config.radius) == ("grace", 4.0)
    assert [edit.id for edit in model.edits] == [made["id"]]
    run(*ADD, "--method", "ft-l", status=2)
    run(*ADD)
    assert len(run("edit", "list", "--all")) == 2


def test_an_export_takes_them_along(run: Run, settings: str, tiny_folder: Path) -> None:
    run(*ADD, "--method", "grace", "--settings", settings)
    run("edit", "export", "--out", "out")
    run("edit", "import", "out", "--store", "other.db")
    assert EditLog("other.db").identity.settings == {"radius": 4.0, "steps": 3}


def test_settings_of_another_method_are_refused(run: Run, folder: Path, settings: str) -> None:
    run(*ADD, "--method", "ft-l")
    told = run("store", "settings", "--keep", settings, status=2)
    assert "holds settings of the method 'grace'" in told
    assert "not both" in run("store", "settings", "--keep", settings, "--defaults", status=2)
    assert run("store", "settings") == {"method": "ft-l", "settings": {}}


def test_what_the_method_no_longer_takes_is_told(
    run: Run, settings: str, tiny_folder: Path
) -> None:
    run(*ADD, "--method", "grace")
    keep_settings(EditLog("edits.db"), {"radios": 4.0})
    with pytest.raises(BadSettings, match=r"does not take \(radios: .*liveedit store settings"):
        opened(tiny_folder)
    assert opened(tiny_folder, config=GraceConfig()).edits
