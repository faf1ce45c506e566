"""Training on drawings, photographs and files, alone and together."""

import json
from pathlib import Path

import pytest
import torch

from liveedit.data.annotations.datasets import E_VQA
from liveedit.data.photo_edit.photo import Photo
from liveedit.data.sources import corrections_of
from liveedit.errors import BadAnnotations, BadCheckpoint, BadImport
from liveedit.methods.liveedit.checkpoint import load_editor, save_editor
from liveedit.methods.liveedit.config import EditorConfig
from liveedit.methods.liveedit.network import EditorNetwork
from liveedit.training.data import training_data
from liveedit.training.editor import EditorTraining, train_editor
from liveedit.training.loop import LoopConfig
from liveedit.training.published import EDITOR, PublishedTraining, train_published
from tests.data.annotations.samples import e_vqa_row, make_pictures, write
from tests.photographs import corrections_file, corrections_table, photo_folder, picture

STEPS = LoopConfig(steps=2, learning_rate=1e-3, warmup=1)
OURS = EditorTraining(
    editor=EditorConfig(width=32, heads=2, vectors=2), text_corrections=24,
    router=STEPS, router_batch=8, text_batch=8,
    generator=STEPS, generator_batch=4, generator_text_batch=2,
)  # fmt: skip
PUBLISHED = PublishedTraining(
    editor=EDITOR.model_copy(update={"width": 32, "heads": 2, "vectors": 2}),
    loop=STEPS, batch=3, routing_batch=5,
)  # fmt: skip


@pytest.fixture(scope="module")
def sources(
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, tuple[str, Path | None]]:
    root = tmp_path_factory.mktemp("sources")
    rows = [e_vqa_row(number) for number in range(24)]
    return {
        "drawings": ("emoji-edit", None),
        "photographs": (str(photo_folder(root / "photos")), None),
        "own": (str(corrections_file(root / "own", 24)), None),
        "table": (str(corrections_table(root / "own.parquet", 24)), None),
        "e-vqa": (
            str(write(root / "some.json", rows)),
            make_pictures(root / "images", rows),
        ),
    }


@pytest.mark.parametrize("name", ["drawings", "photographs", "own", "table", "e-vqa"])
def test_an_editor_is_trained_on_each(name: str, sources, backbone, tmp_path: Path) -> None:
    source, images = sources[name]
    data = training_data(backbone, [source], images, corrections=20, validation=6)
    assert not {case.scene for case in data.cases} & {case.scene for case in data.held}
    folder = train_editor(backbone, tmp_path, OURS, data=data)
    load_editor(folder, backbone.fingerprint())
    found = json.loads((tmp_path / "calibration.json").read_text())
    assert str(len(data.held)) in found["fired"]


def test_it_goes_on_from_a_trained_editor(sources, backbone, tmp_path: Path) -> None:
    data = training_data(backbone, [sources["own"][0]], None, corrections=20, validation=6)
    before = train_editor(backbone, tmp_path / "before", OURS, data=data)
    still = LoopConfig(steps=1, learning_rate=1e-9, warmup=1)
    steps = {"router": still, "generator": still, "start": before, "seed": 5}
    # the architecture is that of the editor, whatever the settings say
    steps["editor"] = EditorConfig(width=64, heads=4, vectors=4)
    again = train_editor(backbone, tmp_path / "again", OURS.model_copy(update=steps), data=data)
    old, new = (load_editor(folder, backbone.fingerprint()) for folder in (before, again))
    assert new.config == old.config
    for name, value in old.named_parameters():
        torch.testing.assert_close(new.get_parameter(name), value, atol=1e-6, rtol=0)
    on = {"start": before, "seed": 5}
    on = train_editor(backbone, tmp_path / "on", OURS.model_copy(update=on), data=data)
    changed = load_editor(on, backbone.fingerprint())
    assert any(
        not torch.allclose(changed.get_parameter(name), value, atol=1e-6)
        for name, value in old.named_parameters()
    )
    assert json.loads((tmp_path / "on" / "training.json").read_text())["start"] == str(before)


def test_what_it_does_not_go_on_from(sources, backbone, tmp_path: Path) -> None:
    data = training_data(backbone, [sources["own"][0]], None, corrections=20, validation=6)
    nothing = OURS.model_copy(update={"start": tmp_path / "nothing"})
    with pytest.raises(BadCheckpoint, match="not an editor checkpoint"):
        train_editor(backbone, tmp_path / "out", nothing, data=data)
    calibrated = EditorNetwork(
        EditorConfig(width=32, heads=2, vectors=2, calibrated=True), backbone.width
    )
    save_editor(calibrated, backbone.fingerprint(), tmp_path / "calibrated")
    with pytest.raises(BadCheckpoint, match="calibrated editor"):
        train_editor(
            backbone, tmp_path / "out", OURS.model_copy(update={"start": tmp_path / "calibrated"}),
            data=data,
        )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_the_published_recipe_takes_them_too(sources, backbone, tmp_path: Path) -> None:
    source, images = sources["e-vqa"]
    data = training_data(backbone, [source], images, corrections=20, validation=6)
    folder = train_published(backbone, tmp_path, PUBLISHED, data=data)
    load_editor(folder, backbone.fingerprint())


def test_several_together(sources, backbone) -> None:
    given = [sources[name][0] for name in ("drawings", "photographs", "own")]
    data = training_data(backbone, given, None, corrections=20, validation=4)
    pictures = [isinstance(case.scene, Photo) for case in data.cases]
    assert pictures.count(False) == 20
    assert len(data.held) == 4 + 4 + 2


def test_a_benchmarks_questions_are_in_the_papers_affixes(sources) -> None:
    file, images = sources["e-vqa"]
    row = corrections_of(Path(file), images)[0]
    assert row.prompt == E_VQA.template.correction.replace("{}", e_vqa_row(0)["src"])
    assert row.locality_image is not None
    assert row.rephrasings


@pytest.mark.parametrize(
    ("rows", "error", "told"),
    [
        (0, BadAnnotations, "too few pictures"),
        (4, BadAnnotations, "too few pictures"),
    ],
)
def test_too_few_corrections(tmp_path: Path, backbone, rows, error, told) -> None:
    file = corrections_file(tmp_path, rows)
    with pytest.raises(error, match=told):
        training_data(backbone, [str(file)], None, corrections=20, validation=4)


def test_bad_lines_are_named(tmp_path: Path, backbone) -> None:
    file = corrections_file(tmp_path, 6)
    (tmp_path / "3.png").unlink()
    with pytest.raises(BadImport, match=r"line 4: there is no picture"):
        training_data(backbone, [str(file)], None, corrections=20, validation=4)


def test_a_picture_that_opens_only_in_part_is_named_with_its_row(tmp_path: Path, backbone) -> None:
    file = corrections_file(tmp_path, 24)
    picture(3).resize((200, 200)).save(tmp_path / "3.png", "JPEG")
    whole = (tmp_path / "3.png").read_bytes()
    (tmp_path / "3.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadAnnotations, match=r"row 4: .*3\.png cannot be opened"):
        training_data(backbone, [str(file)], None, corrections=20, validation=4)


def test_rows_without_a_picture_are_named(tmp_path: Path, backbone, caplog) -> None:
    file = corrections_file(tmp_path, 24)
    file.write_text(file.read_text() + '{"prompt": "Who?", "target": "me"}\n')
    data = training_data(backbone, [str(file)], None, corrections=20, validation=4)
    assert len(data.cases) + len(data.held) == 24
    assert "1 rows without a picture are left out (25)" in caplog.text


def test_a_source_given_twice(tmp_path: Path, backbone) -> None:
    file = corrections_file(tmp_path / "own", 24)
    again = tmp_path / "own" / ".." / "own" / file.name
    with pytest.raises(BadAnnotations, match="is given twice"):
        training_data(backbone, [str(file), str(again)], None, corrections=20, validation=4)


def test_two_files_with_the_same_id(tmp_path: Path, backbone) -> None:
    files = []
    for name in ("one", "two"):
        file = corrections_file(tmp_path / name, 24)
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        rows[5]["id"] = "seven"
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        files.append(str(file))
    with pytest.raises(BadAnnotations, match=r"row 6 of .*two.*'seven' of row 6 of .*one"):
        training_data(backbone, files, None, corrections=20, validation=4)


def test_what_is_not_there(backbone) -> None:
    with pytest.raises(BadAnnotations, match="there is no nothing"):
        training_data(backbone, ["nothing"], None, corrections=20, validation=4)
