"""What ``liveedit train`` refuses before it loads a model."""

import sys

import pytest

from liveedit import cli


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Runs the command, which fails and writes nothing; returns its error."""
    monkeypatch.chdir(tmp_path)

    def run(*options: str) -> str:
        monkeypatch.setattr(sys, "argv", ["liveedit", "train", "--out", "out", *options])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 2
        assert not any(tmp_path.iterdir())
        return capsys.readouterr().err

    return run


@pytest.mark.parametrize(
    "options",
    [
        ("--data", "mine.jsonl"), ("--recipe", "published"), ("--preset", "small"),
        ("--sentence-encoder",), ("--router-steps", "3"), ("--states-limit", "2"),
    ],
)  # fmt: skip
def test_what_another_method_has_no_use_for(refused, options):
    said = refused("--method", "serac", *options)
    assert options[0] in said
    assert "does not go with --method serac" in said


@pytest.mark.parametrize(
    ("method", "option"),
    [("tp", "--steps"), ("retrieval", "--seed"), ("ike", "--steps"), ("ft-l", "--corrections")],
)
def test_what_a_method_has_no_use_for_though_others_do(refused, method, option):
    said = refused("--method", method, option, "30")
    assert option in said
    assert f"does not go with --method {method}" in said


def test_a_default_may_be_given_in_full(refused):
    same = ("--data", "emoji-edit", "--recipe", "ours", "--variant", "full")
    said = refused("--method", "serac", *same, "--model", "nowhere")
    assert "does not go with" not in said
    assert said.startswith("liveedit: ")
