"""The threshold on questions is where next to none that ask something else exceed it."""

import json

import torch
from torch.nn import functional as F

from liveedit.methods.liveedit.checkpoint import editor_digest, load_editor, save_editor
from liveedit.methods.liveedit.config import SAME_QUESTION, EditorConfig, LiveEditConfig
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.training.same_question import threshold


def pair(cosine: float) -> torch.Tensor:
    """Two questions so alike."""
    return F.normalize(torch.tensor([[1.0, 0.0], [cosine, (1 - cosine**2) ** 0.5]]), dim=1)


def test_it_lies_above_what_asks_something_else() -> None:
    assert threshold(pair(0.83), torch.tensor([0, 1])) == 0.83
    assert threshold(pair(0.2), torch.tensor([0, 1])) == SAME_QUESTION
    # the same question may be as alike as it is
    assert threshold(pair(0.83), torch.tensor([4, 4])) == SAME_QUESTION


def test_one_pair_in_a_thousand_may_exceed_it() -> None:
    apart = torch.eye(60)
    apart[0] = apart[1] = F.normalize(apart[0] + apart[1], dim=0)  # one pair of 1,770
    assert threshold(apart, torch.arange(60)) == SAME_QUESTION
    apart[2] = apart[3] = F.normalize(apart[2] + apart[3], dim=0)  # two of 1,770 are too many
    assert threshold(apart, torch.arange(60)) == 1.0


def test_an_editor_brings_its_own(backbone, tmp_path) -> None:
    config = EditorConfig(width=32, heads=2, vectors=2)
    torch.manual_seed(0)
    plain = EditorNetwork(config, backbone.width)
    save_editor(plain, backbone.fingerprint(), tmp_path / "plain")
    described = json.loads((tmp_path / "plain" / "config.json").read_text())
    assert "same_question" not in described["editor"], "as before there was a choice"
    assert LiveEdit.load(backbone, tmp_path / "plain").config.same_question == SAME_QUESTION

    before = editor_digest(plain)
    plain.config = config.model_copy(update={"same_question": 0.8})
    assert editor_digest(plain) != before
    save_editor(plain, backbone.fingerprint(), tmp_path / "own")
    assert load_editor(tmp_path / "own", backbone.fingerprint()).config.same_question == 0.8
    assert LiveEdit.load(backbone, tmp_path / "own").config.same_question == 0.8
    wanted = LiveEditConfig(same_question=0.6)
    assert LiveEdit.load(backbone, tmp_path / "own", wanted).config.same_question == 0.6
