import pytest

from liveedit.errors import BadConfig, BadRequestField
from liveedit.vllm.asked import Asked, pinned, read_asked
from liveedit.vllm.settings import settings_of

SERVED = ("", "shop")


@pytest.mark.parametrize("fields", [None, {}, {"session_id": "one", "top": 3}])
def test_by_default_the_newest_edits_without_a_name_are_asked_for(fields):
    assert read_asked(fields, SERVED) == Asked(namespace="", revision=None)


def test_namespace_and_revision_are_read():
    fields = {"liveedit_namespace": "shop", "liveedit_revision": 7}
    assert read_asked(fields, SERVED) == Asked(namespace="shop", revision=7)
    assert pinned(fields) == Asked(namespace="shop", revision=7)


@pytest.mark.parametrize("on", [1, True])
def test_edits_are_left_out_where_that_is_asked_for(on):
    fields = {"liveedit_disabled": on, "liveedit_namespace": "nobody's"}
    assert read_asked(fields, SERVED) is None
    assert pinned(fields) is None


def test_what_no_front_end_has_seen_has_no_edits():
    assert pinned({}) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"liveedit_namespace": "bank"}, "'bank' is not served; ask for one of '', 'shop'"),
        ({"liveedit_namespace": 3}, "3 is not served"),
        ({"liveedit_revision": "newest"}, "give the whole number"),
        ({"liveedit_revision": True}, "give the whole number"),
        ({"liveedit_disabled": "no"}, "give 1 or 0"),
        ({"liveedit_namespaces": "shop"}, "did you mean liveedit_namespace?"),
        ({"liveedit_pictures": {"identity": "a", "file": None}}, "no field liveedit_pictures"),
    ],
)
def test_what_cannot_be_meant_is_refused(fields, said):
    with pytest.raises(BadRequestField, match=said):
        read_asked(fields, SERVED)


def test_without_settings_nothing_is_served():
    assert settings_of({}) is None
    assert settings_of({"other": 1}) is None


def test_settings_are_strict():
    given = {"editor": "e", "store": "s"}
    assert settings_of({"liveedit": given}).namespaces == ("",)
    for bad in ({"editor": "e"}, given | {"stores": "s"}, given | {"namespaces": "shop"}):
        with pytest.raises(BadConfig, match="of vLLM's --additional-config cannot be used"):
            settings_of({"liveedit": bad})
