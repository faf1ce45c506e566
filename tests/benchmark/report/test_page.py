"""The page: nothing loaded, everything escaped, the right pictures, the paper's figures marked."""

import base64
import io
import json
import re

import numpy as np
import pytest
from PIL import Image

from liveedit.benchmark.metrics import TEXT_VIEW_OF, VIEW_OF
from liveedit.benchmark.report.failures import failures
from liveedit.benchmark.report.loading import Run, load_run, load_runs
from liveedit.benchmark.report.page import render_page, short
from liveedit.benchmark.report.pictures import Album
from liveedit.benchmark.report.plates import plates_of
from liveedit.benchmark.report.probe import Fired, Probe
from liveedit.benchmark.suite import suite_of
from liveedit.data.emoji_edit.corrections import validation_set
from liveedit.data.emoji_edit.knowledge import text_validation_set
from liveedit.data.views import question_of, views_of
from liveedit.errors import MissingExtra
from tests.benchmark.report.runs import Page, figures, record, write_run, wrong
from tests.benchmark.test_suite import hop, row

LOADING = {"src", "srcset", "data", "poster", "action", "formaction", "background", "xlink:href"}
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'><b>&amp;{{ 7 * 7 }}"


def html(*runs: Run, suites=suite_of, shown: int = 3, plots: bool = False) -> str:
    failed = [failures(run, shown=shown) for run in runs]
    return render_page(runs, list(plates_of(runs)) if plots else [], failed, suites=suites)


def real(make, at: int, metric: str, **changes):
    """A probe of a real validation correction."""
    text = metric in TEXT_VIEW_OF
    case = (text_validation_set() if text else validation_set())[at]
    view = (TEXT_VIEW_OF if text else VIEW_OF)[metric]
    return make(at, metric, prompt=question_of(case, view), expected=case.target, **changes)


def of_case(at: int, *, text: bool = False) -> dict[str, object]:
    return {"case": at, "text_only": text, "weight": 0.75}


def scope(suite: str, label: str) -> dict[str, object]:
    one = {"right": 97.25, "interval": [95.0, 99.5], "n": 400}
    kept = {**one, "answered_with_a_correction": 0.5}
    trial = {
        "corrections": 400, "reached": 399, "superseded": 1, "superseded_wanted": 0,
        "questions": {label: one, "kept": kept},
    }  # fmt: skip
    return {"about": {}, "trials": {suite: trial}}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    records = [
        real(record, 0, "rel"),
        real(wrong, 1, "rel", answer="a pear", passed=1, own=0.0, top=of_case(2)),
        real(wrong, 0, "m_gen", passed=0, own=0.0, top=None),
        real(wrong, 3, "ci", passed=1, top=of_case(3)),
        real(record, 0, "t_loc"),
        real(wrong, 0, "text_gen", answer="", passed=1, own=0.1, top=of_case(1, text=True)),
    ]
    skill = {"right": 90, "n": 100, "percent": 90.0}
    after = {"right": 88, "n": 100, "percent": 88.0}
    folder = write_run(
        tmp_path_factory.mktemp("runs") / "one",
        {1: records[:1], 1000: records},
        retention={"0": figures(records), "900": figures(records)},
    )
    general = {"before": {"easy-VQA": skill}, "after": {"easy-VQA": after}, "edits": 1000}
    (folder / "general.json").write_text(json.dumps(general))
    (folder / "scope.json").write_text(json.dumps(scope("look-alikes", "other grounds")))
    return folder


@pytest.fixture(scope="module")
def text(folder) -> str:
    return html(load_run(folder), plots=True)


@pytest.fixture(scope="module")
def page(text) -> Page:
    return Page(text)


class TestAlone:
    def test_nothing_is_loaded(self, text, page):
        assert page.attributes("svg")
        for tag, attributes in page.tags:
            assert tag not in ("script", "iframe", "object", "embed", "base", "source", "image")
            for name, value in attributes.items():
                if name in LOADING:
                    assert str(value).startswith("data:" if tag != "use" else "#"), (tag, value)
                assert not name.startswith("on")
                for used in re.findall(r"url\(([^)]*)\)", str(value)):
                    assert used.startswith("#")
        style = text.split("<style>")[1].split("</style>")[0]
        assert not re.search(r"@import|url\(|@font-face", style)
        links = [attributes["href"] for attributes in page.attributes("link")]
        assert links == ["data:,"]

    def test_the_browser_is_told_to_load_nothing(self, page):
        (policy,) = (
            str(each["content"])
            for each in page.attributes("meta")
            if each.get("http-equiv") == "Content-Security-Policy"
        )
        assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"

    def test_ids_are_each_ones_own_and_references_meet(self, page):
        ids = [str(attributes["id"]) for _, attributes in page.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        for attributes in page.attributes("a"):
            if str(attributes["href"]).startswith("#"):
                assert str(attributes["href"])[1:] in ids

    def test_it_is_not_large(self, text):
        assert len(text) < 1_000_000


def test_text_is_escaped(tmp_path):
    hostile = {"prompt": HOSTILE, "expected": HOSTILE, "answer": HOSTILE}
    metric = "<b>&$x_"
    records = [wrong(0, "rel", **hostile), wrong(1, metric, **hostile)]
    skill = {"right": 1, "n": 2, "percent": 50.0}
    folder = write_run(
        tmp_path / "<i>run",
        {1: records},
        method=HOSTILE,
        backbone=HOSTILE,
        editing={HOSTILE: HOSTILE},
        retention={"0": figures(records)},
    )
    general = {"before": {HOSTILE: skill}, "after": {HOSTILE: skill}, "edits": 1}
    (folder / "general.json").write_text(json.dumps(general))
    (folder / "scope.json").write_text(json.dumps(scope(HOSTILE, HOSTILE)))
    page = Page(html(load_run(folder), plots=True))
    assert page.words.count(metric) >= 4
    tags = {tag for tag, _ in page.tags}
    assert "script" not in tags
    assert not [attributes for _, attributes in page.tags if "onerror" in attributes]
    assert page.attributes("img") == []
    assert page.words.count(HOSTILE) >= 10
    assert "<i>run" in page.words


class TestFigures:
    def test_accuracy_interval_exact_match_and_before(self, page):
        row = re.search(r"Rel the correction itself (.*?) M-Gen", page.words)
        assert row is not None
        assert row[1] == ("100.0 99.0–100 exact 100 50.0 49.0–51.0 exact 50.0 25.0")

    def test_a_metric_that_is_not_there_at_an_n(self, page):
        assert re.search(
            r"CI another question, its picture – 0\.0 0\.0–1\.0 exact 0\.0 –", page.words
        )

    def test_several_runs_have_the_same_rows(self, folder, tmp_path):
        other = write_run(tmp_path / "other", {1: [record(0, "ri")]})
        page = Page(html(*load_runs([folder, other])))
        assert page.words.count("CI another question, its picture") >= 2
        assert "2 runs" in page.words

    def test_scope(self, page):
        assert "look-alikes other grounds 97.2 95.0–99.5 400" in page.words
        assert "kept 97.2 95.0–99.5 0.5 400" in page.words
        assert "400 corrections, 399 reached; 1 superseded (0 wanted)" in page.words

    def test_general_ability(self, page):
        assert "easy-VQA 90.00 88.00 −2.00 100" in page.words

    def test_retention_and_settings_can_be_unfolded(self, page):
        assert "edits made later 0 900 before" in page.words
        assert "editing.supersede True" in page.words
        assert "dtype float32" in page.words
        assert "seconds, N = 1,000 3.5" in page.words


class TestManyRuns:
    @pytest.fixture
    def text(self, tmp_path):
        good, bad = [record(0, "rel"), record(0, "ri")], [wrong(0, "rel"), record(0, "ri")]
        everywhere = [record(0, "rel", passed=9), wrong(0, "ri", passed=9)]
        some = {"a": good, "b": bad, "c": [*good, record(0, "ci")], "d": everywhere}
        folders = [write_run(tmp_path / name, {10: records}) for name, records in some.items()]
        return html(*load_runs(folders), plots=True)

    @pytest.fixture
    def page(self, text):
        return Page(text)

    def test_they_are_compared_in_one_table_before_all_else(self, page):
        table, rest = page.words.split("Side by side", 2)[2].split("Figures", 1)
        assert "emoji-edit, 10 edits in force" in table
        assert "run Rel RI CI a 100 100 100 100 – b 0.0 0.0 100 100 –" in table
        assert "Over the number of edits" not in rest

    def test_the_highest_are_marked(self, text):
        table = text.split('id="beside"')[1].split("</table>")[0]
        assert table.count("<b>") == 3 + 3 + 1, "Rel and RI of three runs, CI of one"

    def test_each_ones_own_is_folded(self, page):
        folded = [tag for tag, _ in page.tags if tag == "summary"]
        assert len(folded) > 3 * 4, "figures, routing and failures of each"

    def test_of_one_that_keeps_no_question_from_its_edits_no_routing_is_drawn(self, page):
        assert page.words.count("No question is kept from the edits") == 1


class TestPaper:
    def test_its_figures_are_marked_and_apart_from_ours(self, page):
        ours, quoted = page.words.split("Beside the paper’s figures")[1].split(
            "Quoted from the paper, Table 1.", 1
        )
        assert "emoji-edit pocket-0123" in ours
        assert "LLaVA" not in ours
        assert "emoji-edit" not in quoted.split("Settings and versions")[0]
        assert "LiveEdit E-VQA LLaVA 1,000 92.93 90.16 84.30 100.00 96.43 92.76" in quoted
        assert "arXiv:2411.15432" in quoted

    def test_of_a_public_dataset_only_its_own_rows(self, tmp_path):
        folder = write_run(tmp_path / "a", {1: [record(0, "rel")]}, dataset="vlkeb")
        words = Page(html(load_run(folder))).words.split("Quoted from the paper")[1]
        assert "LiveEdit VLKEB LLaVA 1,000" in words
        assert "E-VQA" not in words


def embedded(page: Page) -> list[np.ndarray]:
    pictures = []
    for attributes in page.attributes("img"):
        head, content = str(attributes["src"]).split(",", 1)
        assert head == "data:image/webp;base64"
        image = Image.open(io.BytesIO(base64.b64decode(content, validate=True))).convert("RGB")
        pictures.append(np.asarray(image.resize((32, 32)), dtype=float))
    return pictures


def scene(at: int, view: str) -> np.ndarray:
    image, _ = views_of(validation_set()[at], (view,))[0]
    assert image is not None
    return np.asarray(image.resize((32, 32)), dtype=float)


class TestFailures:
    def test_the_pictures_are_those_of_the_probes_and_of_the_edits_that_fired(self, page):
        found = embedded(page)
        # rel of 1, where 2 fired; m_gen of 0, redrawn; ci of 3, where its own edit fired
        wanted = [
            scene(1, "edit"), scene(2, "edit"), scene(0, "redrawn"), scene(3, "edit"),
            scene(3, "edit"),
        ]  # fmt: skip
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert np.abs(one - other).mean() < 8
        assert np.abs(found[0] - scene(2, "edit")).mean() > 16, "scenes can be told apart"

    def test_question_answers_and_the_edit_that_fired(self, page):
        asked, fired = validation_set()[1], validation_set()[2]
        assert (
            f"{asked.question.text} wanted {asked.target} answer a pear Another edit fired, "
            f"weight 0.75 {fired.question.text} → {fired.target}"
        ) in page.words
        assert "Its own edit fired" in page.words
        text = text_validation_set()[1]
        assert f"text only {text.question} → {text.target}" in page.words
        assert "answer no answer" in page.words
        assert "No edit fired: this is the unedited model’s answer." in page.words

    def test_all_are_counted_though_few_are_shown(self, tmp_path):
        records = [wrong(case, "rel") for case in range(9)]
        page = Page(html(load_run(write_run(tmp_path / "a", {1: records})), shown=2))
        assert "9 corrections of which a probe fails, 2 shown." in page.words
        assert page.words.count("picture not known") == 2

    def test_no_picture_is_better_than_a_wrong_one(self, tmp_path):
        """A run on other data: under this number there is another question."""
        stale = wrong(0, "rel", prompt="Something else?", top=of_case(2))
        page = Page(html(load_run(write_run(tmp_path / "a", {1: [stale]}))))
        assert page.attributes("img") == []
        assert "picture not known" in page.words
        assert "Correction 2" in page.words

    def test_without_the_drawings_the_page_says_so(self, folder):
        def missing(_):
            raise MissingExtra("resvg_py", extra="drawings")

        page = Page(html(load_run(folder), suites=missing))
        assert page.attributes("img") == []
        assert "Pictures are missing: resvg_py is not installed" in page.words
        assert "answer a pear" in page.words

    def test_nothing_failed(self, tmp_path):
        def never(_):
            raise AssertionError("there is nothing to look up")

        run = load_run(write_run(tmp_path / "a", {1: [record(0, "rel")]}))
        assert "Nothing failed." in Page(html(run, suites=never)).words

    def test_without_records(self, folder):
        words = Page(html(load_run(folder, records=False), plots=True)).words
        assert "The worst failures" not in words
        assert "Over the number of edits" in words


def test_the_pictures_of_files(tmp_path):
    """They are looked for where the run found them; hops show the corrected picture."""
    rows = [row(0, port_new=[hop(0)]), row(1)]
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    for folder, colour in (("m.0", "red"), ("m.4", "blue")):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (20, 20), colour).save(tmp_path / folder / "a.png")
    settings = {
        "dataset": "vlkeb", "corrections": 2,
        "annotations": str(tmp_path / "rows.json"), "images": str(tmp_path),
    }  # fmt: skip
    album = Album(settings, suite_of)
    asked = {"expected": "", "accuracy": 0.0}
    hopped = Probe(
        case=0, owner=0, metric="portability",
        prompt="Who made the thing 0 in the picture?", **asked,
    )  # fmt: skip
    assert colour_of(album.of_probe(hopped)) == "red"
    assert colour_of(album.of_edit(Fired(case=0, text_only=False, weight=1.0))[0]) == "red"
    elsewhere = Probe(case=0, metric="m_loc", prompt="Where is 0? The answer is:", **asked)
    assert colour_of(album.of_probe(elsewhere)) == "blue"
    fact = Probe(case=0, metric="text_rel", prompt="Who made 0?", **asked)
    assert album.knows(fact)
    assert album.of_probe(fact) is None
    (tmp_path / "m.0" / "a.png").unlink()
    assert album.of_probe(hopped) is None
    assert "m.0" in album.problem
    assert "rows.json" in Album({**settings, "annotations": "gone/rows.json"}, suite_of).problem


def colour_of(url: str) -> str:
    picture = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))
    red, _, blue = picture.convert("RGB").getpixel((0, 0))
    return "red" if red > blue else "blue"


def test_long_texts_are_cut():
    assert short("a\n b") == "a b"
    assert len(short("x" * 1000)) == 280
