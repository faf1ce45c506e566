"""Both ways of asking give the same: from cached states, and by whole passes."""

from collections.abc import Callable

import pytest

from liveedit.benchmark import protocol as module
from liveedit.benchmark.asking import FromQuestions, FromStates, asking
from liveedit.benchmark.metrics import TEXT_VIEW_OF, VIEW_OF
from liveedit.benchmark.probes import read_probes
from liveedit.benchmark.protocol import Protocol
from liveedit.benchmark.suite import groups_of
from liveedit.editor import EditedModel

SOME_FIRE, TOKENS = -8.0, 4


@pytest.fixture
def run(make_model: Callable[..., EditedModel], pictured, texts, tmp_path, monkeypatch):
    """Records of the same groups, asked in one way or the other."""
    model = make_model(SOME_FIRE)
    probes = [
        read_probes(model.backbone, cases, tmp_path, views=views, max_new_tokens=TOKENS)
        for cases, views in ((pictured, VIEW_OF), (texts, TEXT_VIEW_OF))
    ]

    def run(way: type, **options: bool) -> list[dict]:
        monkeypatch.setattr(module, "asking", way)
        protocol = Protocol(model, *probes, max_new_tokens=TOKENS, **options)
        return list(protocol.run(groups_of(5, 3, 2)))

    return run


@pytest.mark.parametrize("generate", [True, False])
def test_whole_passes_say_what_cached_states_say(run, generate: bool) -> None:
    fast, slow = run(FromStates, generate=generate), run(FromQuestions, generate=generate)
    numbers = ("own", "margin", "asked")
    for one, other in zip(fast, slow, strict=True):
        for name in numbers:
            assert other.pop(name) == pytest.approx(one.pop(name), abs=1e-3)
        for record in (one, other):
            if record["top"] is not None:
                record["top"]["weight"] = pytest.approx(record["top"]["weight"], abs=1e-3)
        assert one == other
    assert any(one["passed"] for one in fast)
    assert any(not one["passed"] for one in fast)


@pytest.mark.parametrize("way", [FromStates, FromQuestions])
def test_answers_alone_are_those_of_a_whole_run(run, way: type) -> None:
    whole = run(way, generate=True)
    alone = run(way, generate=True, forced=False, metrics=("rel", "m_loc"))
    assert {one["metric"] for one in alone} == {"rel", "m_loc"}
    assert all(one["accuracy"] is one["before"] is None for one in alone)
    told = [one["answer"] for one in whole if one["metric"] in ("rel", "m_loc")]
    assert [one["answer"] for one in alone] == told
    assert any(one["passed"] for one in alone), "also where an edit is at work"


def test_a_method_that_reads_states_is_asked_from_states(make_model) -> None:
    options = {"generate": False, "max_new_tokens": TOKENS}
    assert isinstance(asking(make_model().method, **options), FromStates)
