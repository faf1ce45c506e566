"""Corrections that outlive their model: carried over, killed in the middle, and in other precision.

    python benchmarks/rebase.py [--corrections 500] [--parts rebase precision pictures] [--json]

``rebase``: the first evaluation corrections of emoji-edit are made in one store and carried over to
another editor by the command itself, once in one piece, and once killed with SIGKILL when half of
them are written, and gone on. The other editor is the shipped one with other margins, or
``--editor``. Answers to the corrections' own and rephrased questions are generated and compared.
The same store is then carried over to the method ``retrieval``.

``precision``: a store made in float32 is opened by the same model in bfloat16, in float16, with
weights of 8 bits (quanto) and with 8 bits in whole (torchao, dynamic), and every correction is
asked; what does not hold is made anew.

``pictures``: what the pictures of corrections take, drawings without loss and as JPEG.
"""

from __future__ import annotations

import argparse
import io
import json
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from liveedit import EditedModel, load_backbone
from liveedit.correction import Correction, image_identity, open_image
from liveedit.data.emoji_edit.corrections import EditCase, evaluation_set
from liveedit.data.emoji_edit.scene import render
from liveedit.editor.verify import verify
from liveedit.errors import StoreError
from liveedit.methods.liveedit.checkpoint import save_editor
from liveedit.methods.liveedit.method import LiveEdit
from liveedit.store.edit import Edit
from liveedit.store.kept_pictures import keep_pictures
from liveedit.store.log import EditLog
from liveedit.store.picture_rules import PictureRules
from liveedit.store.picture_set import PictureSet
from liveedit.store.sql import SqlStore

_BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parts = {"rebase": _rebase, "precision": _precision, "pictures": _pictures}
    parser.add_argument("--corrections", type=int, default=500)
    parser.add_argument("--parts", nargs="+", choices=list(parts), default=list(parts))
    parser.add_argument("--precisions", nargs="+", choices=list(_LOADING), default=list(_LOADING))
    parser.add_argument("--batch", type=int, default=_BATCH, help="corrections a revision")
    parser.add_argument("--editor", type=Path, help="the other editor")
    parser.add_argument("--folder", type=Path, help="where stores are kept; a temporary one")
    parser.add_argument("--json", action="store_true", help="one JSON object as the last line")
    options = parser.parse_args()
    cases = evaluation_set(options.corrections)
    found: dict[str, Any] = {"corrections": len(cases)}
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name in options.parts:
            found[name] = parts[name](cases, folder, options)
            print(f"{name}: {json.dumps(found[name], indent=1)}")
    if options.json:
        print(json.dumps(found))


def _made(cases: list[EditCase], location: Path) -> tuple[EditedModel, int]:
    """A store with the corrections that are reached; and how many that are."""
    model = EditedModel.from_pretrained("pocket", store=location, dtype=torch.float32)
    if not model.edits:
        for start in range(0, len(cases), _BATCH):
            some = cases[start : start + _BATCH]
            model.edit_many([_stated(case) for case in some], skip_unreached=True, progress=True)
    return model, len(model.edits)


def _stated(case: EditCase) -> Correction:
    return Correction(image=render(case.scene), prompt=case.question.text, target=case.target)


def _rebase(cases: list[EditCase], folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    model, count = _made(cases, folder / "old.db")
    editor = options.editor or _other_margins(model, folder / "editor")
    began = time.perf_counter()
    command = ["--store", str(folder / "old.db"), "--editor", str(editor)]
    command += ["--batch", str(options.batch)]
    fresh = _run([*command, "--to", str(folder / "fresh.db")])
    seconds = time.perf_counter() - began
    killed = _killed([*command, "--to", str(folder / "new.db")], folder / "new.db", count // 2)
    again = _run([*command, "--to", str(folder / "new.db")])
    logs = [EditLog(folder / name) for name in ("fresh.db", "new.db")]
    answers = [
        _answers(EditedModel(LiveEdit.load(model.backbone, editor), folder / name), cases)
        for name in ("fresh.db", "new.db")
    ]
    other = ["--to", str(folder / "retrieval.db"), "--method", "retrieval"]
    to_retrieval = _run(["--store", str(folder / "old.db"), *other])
    return {
        "in_old_store": count,
        "seconds": round(seconds),
        "fresh": _counts(fresh),
        "killed_with": killed,
        "gone_on": _counts(again),
        "same_answers": sum(one == other for one, other in zip(*answers, strict=True)),
        "questions": len(answers[0]),
        "same_experts": _experts(logs[0]) == _experts(logs[1]),
        "to_retrieval": _counts(to_retrieval),
    }


def _other_margins(model: EditedModel, folder: Path) -> Path:
    """The shipped editor, but less willing to let an expert through."""
    assert isinstance(model.method, LiveEdit)
    shipped = model.backbone.editors["liveedit"]
    network = LiveEdit.load(model.backbone, shipped).network
    network.router.margin += 0.02
    save_editor(network, model.backbone.fingerprint(), folder)
    return folder


def _command(arguments: list[str]) -> list[str]:
    options = ["--dtype", "float32", "--json"]
    return [sys.executable, "-m", "liveedit", "edit", "rebase", *arguments, *options]


def _run(arguments: list[str]) -> dict[str, Any]:
    done = subprocess.run(_command(arguments), stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode not in (0, 4):
        raise SystemExit(done.returncode)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _killed(arguments: list[str], store: Path, after: int) -> int:
    """Kill the command once so many corrections are written; how many were."""
    process = subprocess.Popen(_command(arguments), stdout=subprocess.DEVNULL)
    while process.poll() is None:
        time.sleep(0.2)
        if _count(store) >= after:
            process.send_signal(signal.SIGKILL)
            process.wait()
    if process.returncode != -signal.SIGKILL:
        raise SystemExit("the command had ended before it was killed")
    return _count(store)


def _count(store: Path) -> int:
    """Edits in a store that another process may be making just now."""
    try:
        log = EditLog(store)
    except StoreError:
        return 0
    count = len(log.entries())
    log.close()
    return count


def _counts(report: dict[str, Any]) -> dict[str, int]:
    return {name: len(found) for name, found in report.items()}


def _experts(log: EditLog) -> list[bytes]:
    rows = log.stored([entry.edit.id for entry in log.entries()])
    values = log.values([row.number for row in rows])
    return [row.keys + values[row.number] for row in rows]


def _answers(model: EditedModel, cases: list[EditCase]) -> list[str]:
    found: list[str] = []
    for start in range(0, len(cases), _BATCH):
        some = cases[start : start + _BATCH]
        pictures = [render(case.scene) for case in some]
        for asked in ("question", "rephrase"):
            found += model.generate(
                pictures, [getattr(case, asked).text for case in some], max_new_tokens=16
            )
    return found


def _quanto() -> dict[str, Any]:
    from transformers import QuantoConfig

    return {"dtype": torch.float32, "quantization_config": QuantoConfig(weights="int8")}


def _torchao() -> dict[str, Any]:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig
    from transformers import TorchAoConfig

    settings = TorchAoConfig(Int8DynamicActivationInt8WeightConfig())
    return {"dtype": torch.float32, "quantization_config": settings}


_LOADING: dict[str, Callable[[], dict[str, Any]]] = {
    "float32": lambda: {"dtype": torch.float32},
    "bfloat16": lambda: {"dtype": torch.bfloat16},
    "float16": lambda: {"dtype": torch.float16},
    "int8-weights": _quanto,
    "int8-dynamic": _torchao,
}


def _precision(cases: list[EditCase], folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    _, count = _made(cases, folder / "old.db")
    found: dict[str, Any] = {"corrections": count}
    for name in options.precisions:
        copy = folder / f"{name}.db"
        with sqlite3.connect(folder / "old.db") as old, sqlite3.connect(copy) as new:
            old.backup(new)
        backbone = load_backbone("pocket", **_LOADING[name]())
        method = LiveEdit.load(backbone)
        store = SqlStore(copy, method.identity)
        other = EditedModel(method, store)
        began = time.perf_counter()
        looked = verify(other, remake=True, progress=True)
        found[name] = {
            "warned": store.log.warning is not None,
            "hold": sum(one.holds is True for one in looked),
            "made_anew": sum(one.remade is not None for one in looked),
            "seconds": round(time.perf_counter() - began),
        }
        again = verify(other, progress=True)
        found[name]["hold_afterwards"] = sum(one.holds is True for one in again)
        print(f"{name}: {json.dumps(found[name])}", flush=True)
    return found


def _pictures(cases: list[EditCase], _: Path, __: argparse.Namespace) -> dict[str, Any]:
    found: dict[str, Any] = {}
    ways: dict[str, Callable[[Image.Image], Image.Image]] = {
        "drawings": lambda picture: picture,
        "as JPEG, quality 90": _as_jpeg,
    }
    for name, picture_of in ways.items():
        kept, seconds = PictureSet(), 0.0
        for case in cases:
            picture = picture_of(render(case.scene))
            edit = Edit(prompt="?", target="!", image=image_identity(picture))
            began = time.process_time()
            keep_pictures(kept, [edit], [picture], PictureRules())
            seconds += time.process_time() - began
        found[name] = {
            "different": len(kept.files),
            "KB_each": round(kept.size / max(len(kept.files), 1) / 1000, 1),
            "MB": round(kept.size / 1e6, 1),
            "thumbnails_MB": round(sum(map(len, kept.thumbnails.values())) / 1e6, 1),
            "ms_each": round(1000 * seconds / len(cases), 1),
        }
    return found


def _as_jpeg(picture: Image.Image) -> Image.Image:
    written = io.BytesIO()
    picture.save(written, "JPEG", quality=90)
    return open_image(written.getvalue())


if __name__ == "__main__":
    main()
