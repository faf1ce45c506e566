"""Retention: the first edits alone are asked about, with all the others in force."""

from liveedit.benchmark import retention as module
from liveedit.benchmark.metrics import VIEW_OF, summarise
from liveedit.benchmark.probes import read_probes
from liveedit.benchmark.protocol import Protocol
from liveedit.benchmark.retention import retention_groups, summarise_retention
from liveedit.benchmark.suite import Group


def test_the_first_edits_are_asked_about_however_many_follow(
    make_model, pictured, tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(module, "FIRST", 2)
    model = make_model(-5.0)
    reading = read_probes(model.backbone, pictured, tmp_path, views=VIEW_OF, max_new_tokens=3)
    protocol = Protocol(model, reading, generate=False, max_new_tokens=3)
    groups = retention_groups(len(pictured), (0, 2, 3, 4))
    assert list(groups) == [0, 2, 3], "there are but five corrections"
    found = summarise_retention(list(protocol.run(list(groups.values()))), list(groups))
    assert list(found) == ["0", "2", "3"]
    for more, metrics in found.items():
        assert metrics.keys() == VIEW_OF.keys()
        assert {figures["n"] for figures in metrics.values()} == {2}
        group = Group(edited=range(2 + int(more)), texts=(), asked=range(2))
        records = list(protocol.run([group]))
        assert {record["case"] for record in records} == {0, 1}
        assert metrics == summarise(records)
    assert found["0"] != found["3"]
    assert retention_groups(1, (0, 2)) == {}
