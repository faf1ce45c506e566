import pytest

from liveedit.data.annotations.fields import Fields
from liveedit.data.annotations.record import PortabilityHop
from liveedit.data.annotations.vlkeb import parse_vlkeb
from tests.data.annotations.samples import multi_hop, one_hop, vlkeb_row, without


def test_a_row_without_portability_knows_its_entity() -> None:
    fields = Fields(vlkeb_row(4))
    annotation = parse_vlkeb(0, fields)
    assert fields.problems == []
    assert annotation.concepts == {"m.04"}
    assert annotation.target == "City 4"
    assert annotation.former_answer == "Some_Town,_Texas"
    assert annotation.text_locality.question == "who wrote book 4"
    assert annotation.portability == ()


def test_one_hop_with_the_fact_that_is_edited() -> None:
    fields = Fields(vlkeb_row(port_new=[one_hop()]))
    assert parse_vlkeb(0, fields).portability == (
        PortabilityHop(
            length=1,
            question="What is the time zone of the place in the picture?",
            answer="Central",
            edited_question="What is City 0's time zone?",
            edited_answer="Central",
        ),
    )
    assert fields.problems == []


@pytest.mark.parametrize("lengths", [[], [1], [2, 4], [1, 2, 3, 4]])
def test_hops_of_several_lengths(lengths: list[int]) -> None:
    fields = Fields(vlkeb_row(port_new=[multi_hop(length) for length in lengths]))
    hops = parse_vlkeb(0, fields).portability
    assert fields.problems == []
    assert [hop.length for hop in hops] == lengths
    assert [hop.answer for hop in hops] == [f"fact {length}" for length in lengths]
    assert all(hop.edited_question is None for hop in hops)


@pytest.mark.parametrize(
    ("port_new", "problem"),
    [
        ("1-hop", "field 'port_new' is text, not a list"),
        ([3], "field 'port_new[0]' is a number, not an object"),
        ([one_hop(), without(one_hop(), "port_a")], "field 'port_new[1].port_a' is missing"),
        ([one_hop(port_q="")], "field 'port_new[0].port_q' is empty"),
        ([multi_hop(5)], "field 'port_new[0].port_type' is none of 1-hop, 2-hop, 3-hop, 4-hop"),
        ([multi_hop(1, port_type=1)], "field 'port_new[0].port_type' is none of"),
        ([without(multi_hop(1), "Q&A")], "field 'port_new[0].Q&A' is missing"),
        ([multi_hop(1, **{"Q&A": "why"})], "field 'port_new[0].Q&A' is text, not an object"),
        (
            [multi_hop(1, **{"Q&A": {"Question": "why", "Answer": None}})],
            "field 'port_new[0].Q&A.Answer' is null, not text",
        ),
    ],
)
def test_bad_hops(port_new: object, problem: str) -> None:
    fields = Fields(vlkeb_row(port_new=port_new))
    parse_vlkeb(0, fields)
    assert len(fields.problems) == 1
    assert fields.problems[0].startswith(problem)
