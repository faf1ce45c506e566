"""Two processes take the steps that one takes."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from liveedit.methods.liveedit.config import EditorConfig
from liveedit.training.editor import EditorTraining
from liveedit.training.loop import LoopConfig

ROOT = Path(__file__).parents[1]
TRAIN = """
import sys
from pathlib import Path
import torch
from liveedit.backbones.registry import load_backbone
from liveedit.training.editor import EditorTraining, train_editor

torch.set_num_threads(1)
model, config, out = sys.argv[1:]
train_editor(
    load_backbone(model, dtype=torch.float32),
    Path(out),
    EditorTraining.model_validate_json(Path(config).read_text()),
)
"""


@pytest.fixture(scope="module")
def config() -> EditorTraining:
    """Without dropout, whose noise depends on how a batch is divided."""
    return EditorTraining(
        editor=EditorConfig(width=32, heads=2, vectors=2, dropout=0.0),
        corrections=24,
        text_corrections=24,
        validation=20,
        router=LoopConfig(steps=4, learning_rate=1e-3, warmup=2, save_every=2),
        router_batch=8,
        text_batch=8,
        generator=LoopConfig(steps=4, learning_rate=1e-3, warmup=2, save_every=2),
        generator_batch=4,
        generator_text_batch=2,
    )


def train(folder: Path, config: EditorTraining, tiny_folder: Path, *launcher: str) -> Path:
    folder.mkdir()
    script, settings = folder / "train.py", folder / "config.json"
    script.write_text(TRAIN)
    settings.write_text(config.model_dump_json())
    command = [*launcher, str(script), str(tiny_folder), str(settings), str(folder / "out")]
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return folder / "out"


LAUNCH = (
    "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1",
    "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0",
)  # fmt: skip


def test_two_processes_train_what_one_does(tiny_folder, config, tmp_path: Path) -> None:
    one = train(tmp_path / "one", config, tiny_folder)
    two = train(tmp_path / "two", config, tiny_folder, *LAUNCH)
    for part in ("router", "generator"):
        steps = (one / part / "losses.jsonl").read_text().count("\n")
        assert steps == (two / part / "losses.jsonl").read_text().count("\n") == 4
    expected = load_file(one / "editor" / "editor.safetensors")
    found = load_file(two / "editor" / "editor.safetensors")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=2e-4, rtol=2e-3, msg=name)
