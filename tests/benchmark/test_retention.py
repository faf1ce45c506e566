"""Retention: the first edits alone are asked about, with all the others in force."""

from liveedit.benchmark import retention as module
from liveedit.benchmark.metrics import VIEW_OF, summarise
from liveedit.benchmark.protocol import Group, Protocol
from liveedit.benchmark.reading import read
from liveedit.benchmark.retention import retention


def test_the_first_edits_are_asked_about_however_many_follow(
    make_model, pictured, texts, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(module, "FIRST", 2)
    model = make_model()
    options = {"max_new_tokens": 3}
    readings = (
        read(model.backbone, model.network, some, tmp_path, text_only=some is texts, **options)
        for some in (pictured, texts)
    )
    protocol = Protocol(model, *readings, generate=False, **options)
    found = retention(protocol, len(pictured), (0, 2, 3, 4))
    assert list(found) == ["0", "2", "3"], "there are but five corrections"
    for more, metrics in found.items():
        assert metrics.keys() == VIEW_OF.keys()
        assert {figures["n"] for figures in metrics.values()} == {2}
        group = Group(edited=range(2 + int(more)), texts=(), asked=range(2))
        records = list(protocol.run([group]))
        assert {record["case"] for record in records} == {case.index for case in pictured[:2]}
        assert metrics == summarise(records)
    assert found["0"] != found["3"]
    assert retention(protocol, 1, (0, 2)) == {}
