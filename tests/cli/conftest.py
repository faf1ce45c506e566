"""The command line with a tiny model and an untrained editor, in a folder of its own."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from liveedit import cli
from liveedit.backbones.base import Backbone
from liveedit.backbones.registry import load_backbone
from liveedit.methods.liveedit.checkpoint import save_editor
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.methods.liveedit.representation import measure_scale
from tests.cli.running import Run


@pytest.fixture(scope="module")
def editor(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory, pictures) -> Path:
    """An untrained editor that lets an expert through where the question is the same."""
    torch.manual_seed(1)
    backbone = load_backbone(tiny_folder)
    network = EditorNetwork(EditorConfig(width=32, heads=2, rank=4, dropout=0.0), backbone.width)
    query = backbone.query(pictures, ["What is this?"] * len(pictures))
    network.set_scale(measure_scale(backbone.states(query)[query.attention_mask.bool()]))
    network.router.margin.fill_(-100)
    network.router.prompt_bias.data.fill_(5)
    network.router.text_bias.data.fill_(5)
    network.router.vision_scale.data.fill_(1000)  # so that the nearest alone answers
    network.router.prompt_scale.data.fill_(1000)
    network.generator.v_gain.data.fill_(20)
    folder = tmp_path_factory.mktemp("editor")
    save_editor(network, backbone.fingerprint(), folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path, pictures: list[Image.Image], monkeypatch) -> Path:
    """Where the command runs: three pictures, and a store that is not there yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIVEEDIT_STORE", "edits.db")
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"{number}.png")
    return tmp_path


@pytest.fixture(scope="module")
def loaded(tiny_folder: Path) -> Backbone:
    return load_backbone(tiny_folder)


@pytest.fixture
def run(tiny_folder: Path, editor: Path, folder: Path, loaded, monkeypatch, capsys) -> Run:
    """Run the command; what it printed, as JSON unless told otherwise."""
    needs_model = {"add", "import", "ask", "verify", "rebase"}
    # the folder's model is read once, not for each command
    monkeypatch.setattr("liveedit.editor.lifetime.load_backbone", lambda *_, **__: loaded)

    def run(*arguments: str, status: int = 0, as_json: bool = True) -> Any:
        model = ["--model", str(tiny_folder), "--editor", str(editor)]
        more = model if needs_model & set(arguments[:2]) else []
        flags = ["--json"] if as_json else []
        monkeypatch.setattr(sys, "argv", ["liveedit", *arguments, *more, *flags])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        assert (ended.value.code or 0) == status, printed.out + printed.err
        if status in (2, 3) or not printed.out:
            assert "liveedit: " in printed.err
            return printed.err
        return json.loads(printed.out) if as_json else printed.out

    return run


@pytest.fixture
def run_data(monkeypatch, capsys: pytest.CaptureFixture[str]):
    """Run ``liveedit data`` in this process; gives exit status, standard output and error."""

    def _run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["liveedit", "data", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return _run
