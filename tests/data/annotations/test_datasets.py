import pytest

from liveedit.data.annotations.datasets import DATASETS, dataset_named, recognise
from liveedit.errors import BadAnnotations, UnknownDataset
from tests.data.annotations.samples import (
    comprehendedit_row,
    e_ic_row,
    e_vqa_row,
    mmke_bench_row,
    one_hop,
    vlkeb_row,
)


def test_names_with_capitals_or_without() -> None:
    assert {
        dataset_named(name).name
        for name in ("E-VQA", "e-ic", "VLKEB", "MMKE-Bench", "ComprehendEdit")
    } == set(DATASETS)


@pytest.mark.parametrize(
    ("name", "meant"), [("evqa", "e-vqa"), ("E_IC", "e-ic"), ("VLKBE", "vlkeb")]
)
def test_did_you_mean(name: str, meant: str) -> None:
    with pytest.raises(UnknownDataset, match=f"did you mean '{meant}'"):
        dataset_named(name)


def test_a_name_like_none() -> None:
    with pytest.raises(
        UnknownDataset, match="among e-vqa, e-ic, vlkeb, mmke-bench, comprehendedit; give one"
    ) as raised:
        dataset_named("imagenet")
    assert "did you mean" not in str(raised.value)


@pytest.mark.parametrize(
    ("row", "name"),
    [
        (e_vqa_row(), "e-vqa"),
        (e_ic_row(), "e-ic"),
        (vlkeb_row(), "vlkeb"),
        (mmke_bench_row(), "mmke-bench"),
        (mmke_bench_row(port_new=[one_hop()]), "mmke-bench"),
        (comprehendedit_row(), "comprehendedit"),
        (vlkeb_row(image="elsewhere.jpg", port_new=[one_hop()]), "vlkeb"),
    ],
)
def test_recognised_from_the_fields(row: dict, name: str) -> None:
    assert recognise([row, 3], "some.json").name == name


@pytest.mark.parametrize("rows", [[{}], ["text"], [{"src": "a photo of"}], [e_vqa_row(loc="who")]])
def test_typical_of_none(rows: list) -> None:
    with pytest.raises(BadAnnotations, match=r"some\.json .* --dataset"):
        recognise(rows, "some.json")
