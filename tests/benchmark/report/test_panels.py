import re
import warnings
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from PIL import Image

from liveedit.benchmark.report.loading import load_run, load_runs
from liveedit.benchmark.report.panels import COLOURS, as_svg, write_plate
from liveedit.benchmark.report.plates import plates_of
from liveedit.benchmark.report.side_by_side import compared
from tests.benchmark.report.runs import figures, record, write_run, wrong

METRICS = ("rel", "t_gen", "ri", "ci", "text_rel")


@pytest.fixture
def folders(tmp_path):
    records = [record(case, metric) for case in range(3) for metric in METRICS]
    later = {"0": figures(records), "100": figures([*records, wrong(0, "rel")])}
    return [
        write_run(tmp_path / "a", {1: records, 10: [*records, wrong(3, "rel")]}, retention=later),
        write_run(tmp_path / "b", {10: records}),
    ]


def test_which_plots_there_are(folders):
    plates = {
        plate.name: [panel.name for panel in plate.panels]
        for plate in plates_of(load_runs(folders))
    }
    assert list(plates) == [
        "metrics-over-edits", "retention",
        "experts-passed-1", "margins-1", "experts-passed-2", "margins-2",
    ]  # fmt: skip
    assert len(plates["metrics-over-edits"]) == len(plates["retention"]) == len(METRICS)
    assert plates["experts-passed-1"] == ["passed-1-1", "passed-1-10"]
    assert plates["margins-2"] == ["margin-picture-2", "margin-question-2"]


def test_what_is_not_there_is_not_plotted(folders):
    run = load_run(folders[1], records=False)
    assert [plate.name for plate in plates_of([run])] == ["metrics-over-edits"]


def test_a_method_without_experts(tmp_path):
    bare = {"passed": None, "own": None, "top": None, "margin": None, "asked": None}
    run = load_run(write_run(tmp_path / "a", {1: [record(0, "rel", **bare)]}))
    assert [plate.name for plate in plates_of([run])] == ["metrics-over-edits"]


def test_a_plot_tells_its_figures_to_those_who_do_not_see_it(folders):
    curves = next(plates_of(load_runs(folders)))
    assert curves.panels[0].alt == (
        "Rel over edits in force (N). a: 1: 100.0%, 10: 75.0%. b: 10: 100.0%."
    )


def test_svg_for_the_page(folders):
    """It takes its colours from the page, and shares no id with another."""
    plates = list(plates_of(load_runs(folders)))
    seen: set[str] = set()
    for panel in (plate.panels[0] for plate in plates):
        svg = as_svg(panel)
        ElementTree.fromstring(svg)
        assert "var(--ink)" in svg
        assert not [colour for colour in COLOURS.values() if colour in svg]
        ids = set(re.findall(r'\bid="([^"]+)"', svg))
        assert ids
        assert all(one.startswith(f"{panel.name}-") for one in ids)
        assert not ids & seen
        seen |= ids
        for used in re.findall(r'(?:url\(|href=")#([^")]+)', svg):
            assert used in ids
        assert "metadata" not in svg
        assert "width=" not in svg.split(">")[0], "it is as wide as the page lets it be"
        shown = "".join(ElementTree.fromstring(svg).itertext())
        assert "Rel" in shown


def test_the_curve_lies_where_the_figures_are(folders):
    from matplotlib.figure import Figure

    figure = Figure()
    next(plates_of(load_runs(folders))).panels[0].draw(figure)
    (axes,) = figure.axes
    first, second = axes.lines
    assert list(zip(*first.get_data(), strict=True)) == [(1, 100), (10, 75)]
    assert list(zip(*second.get_data(), strict=True)) == [(10, 100)]
    band = axes.collections[0].get_paths()[0].vertices
    assert (band[:, 1].min(), band[:, 1].max()) == (74, 100)
    low, high = axes.get_ylim()
    assert low < 74
    assert high > 100
    assert "Rel" in (axes.get_title(loc="left"), axes.get_title())


def test_three_runs_stand_side_by_side_at_the_n_that_most_have(folders, tmp_path):
    from matplotlib.figure import Figure

    records = [record(0, "rel"), wrong(1, "rel")]
    third = write_run(tmp_path / "c", {10: records, 1000: records})
    runs = load_runs([*folders, third])
    (plate,) = (one for one in plates_of(runs) if one.name == "side-by-side-1")
    assert [panel.alt for panel in plate.panels] == [
        "Rel on emoji-edit with 10 edits in force. a: 75.0%. b: 100.0%. c: 50.0%."
    ]
    figure = Figure()
    plate.panels[0].draw(figure)
    (axes,) = figure.axes
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["a", "b", "c"]
    dots = [line.get_data() for line in axes.lines if line.get_marker() == "o"]
    assert [(x[0], y[0]) for x, y in dots] == [(75, 0), (100, 1), (50, 2)]
    assert list(axes.lines[6].get_data()[0]) == [49, 51], "the interval of the third"


def test_runs_side_by_side_at_one_n_are_no_curves(tmp_path):
    records = [record(0, "rel"), record(0, "ri")]
    runs = load_runs([write_run(tmp_path / name, {10: records}) for name in "abc"])
    names = [plate.name for plate in plates_of(runs)]
    assert names[0] == "side-by-side-1"
    assert "metrics-over-edits" not in names


def test_datasets_are_not_compared_with_each_other(tmp_path):
    records = [record(0, "rel"), record(0, "ri")]
    folders = [
        write_run(tmp_path / str(at), {10: records}, dataset=dataset)
        for at, dataset in enumerate(("e-vqa", "vlkeb", "e-vqa", "e-vqa", "vlkeb", "vlkeb", "own"))
    ]
    found = compared(load_runs(folders))
    assert [(one.dataset, [name for name, *_ in one.rows]) for one in found] == [
        ("e-vqa", ["0", "2", "3"]), ("vlkeb", ["1", "4", "5"])
    ]  # fmt: skip
    names = [plate.name for plate in plates_of(load_runs(folders))]
    assert names[:2] == ["side-by-side-1", "side-by-side-2"]


def test_a_long_name_leaves_room_for_the_plot(tmp_path):
    from matplotlib.figure import Figure

    names = ["a", "b", f"{'deep/' * 9}the-longest"]
    folders = [write_run(tmp_path / name, {10: [record(0, "rel")]}) for name in names]
    runs = [replace(run, name=name) for run, name in zip(load_runs(folders), names, strict=True)]
    figure = Figure()
    next(plates_of(runs)).panels[0].draw(figure)
    shown = figure.axes[0].get_yticklabels()[2].get_text()
    assert len(shown) == 24
    assert shown.endswith("deep/the-longest")


def test_of_a_method_that_compares_nothing_there_are_no_margins(tmp_path):
    nothing = {"passed": 10, "margin": 0.0, "asked": 0.0}
    records = [record(0, "rel", **nothing), wrong(0, "ri", **nothing)]
    run = load_run(write_run(tmp_path / "a", {10: records}))
    assert [plate.name for plate in plates_of([run])] == ["metrics-over-edits"]


def test_margins_on_the_threshold_are_drawn_without_a_warning(tmp_path):
    from matplotlib.figure import Figure

    records = [record(case, "rel", margin=float(case == 0), asked=0.0) for case in range(2000)]
    run = load_run(write_run(tmp_path / "a", {1: records}))
    (margins,) = (one for one in plates_of([run]) if one.name.startswith("margins"))
    with warnings.catch_warnings():
        # What the drawing warns of; a file that an earlier test left open warns whenever it likes.
        for category in (UserWarning, RuntimeWarning):
            warnings.simplefilter("error", category)
        margins.panels[0].draw(Figure())


def test_files(folders, tmp_path):
    for plate in plates_of(load_runs(folders[1:])):
        svg, png = write_plate(plate, tmp_path)
        assert (svg.name, png.name) == (f"{plate.name}.svg", f"{plate.name}.png")
        assert ElementTree.parse(svg).getroot().tag.endswith("svg")
        with Image.open(png) as image:
            assert image.format == "PNG"
            assert min(image.size) > 200
    again = next(plates_of(load_runs(folders[1:])))
    before = (tmp_path / "metrics-over-edits.svg").read_bytes()
    write_plate(again, tmp_path)
    assert (tmp_path / "metrics-over-edits.svg").read_bytes() == before
