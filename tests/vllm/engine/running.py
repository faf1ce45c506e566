"""A real vLLM in this process, with tiny models whose edits the project's own environment made."""

from __future__ import annotations

import base64
import gc
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from weakref import proxy

import pytest

if find_spec("vllm") is None:
    pytest.skip("vLLM has an environment of its own: make test-vllm", allow_module_level=True)
os.environ |= {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",  # so that the worker can be looked into
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_LOGGING_LEVEL": os.environ.get("VLLM_LOGGING_LEVEL", "WARNING"),
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
}

from PIL import Image
from vllm import LLM, EngineArgs, SamplingParams
from vllm.compilation.counter import compilation_counter
from vllm.config import CUDAGraphMode
from vllm.distributed import cleanup_dist_env_and_memory
from vllm.exceptions import VLLMValidationError

__all__ = [
    "CUDAGraphMode",
    "EngineArgs",
    "SamplingParams",
    "VLLMValidationError",
    "compilation_counter",
]

_ROOT = Path(__file__).parents[3]
PYTHON = os.environ.get("LIVEEDIT_PYTHON", str(_ROOT / ".venv" / "bin" / "python"))
_REFERENCES = Path(os.environ.get("LIVEEDIT_REFERENCES") or mkdtemp(prefix="liveedit-vllm-"))
NAMESPACES = ["", "left", "right"]
TOKENS = 12


@dataclass(frozen=True)
class Reference:
    """What ``tests.vllm.reference`` wrote.

    Args:
        folder: Where.
        ends: Tokens that end an answer.
        questions: Each with the tokens of its answers, with edits and without.
    """

    folder: Path
    ends: list[int]
    questions: list[dict[str, Any]]

    @property
    def settings(self) -> dict[str, Any]:
        return {
            "editor": str(self.folder / "editor"),
            "store": str(self.folder / "edits.db"),
            "namespaces": NAMESPACES,
        }

    def of(self, view: str, *, changed: bool | None = None) -> list[dict[str, Any]]:
        """Questions of one kind, whose answers edits change or do not."""
        return [
            one
            for one in self.questions
            if one["view"] == view and changed in (None, one["edited"] != one["plain"])
        ]


def in_project(*command: str) -> str:
    """What a module prints in the project's own environment."""
    environment = os.environ | {"PYTHONPATH": f"{_ROOT / 'src'}:{_ROOT}"}
    done = subprocess.run(
        [PYTHON, "-m", *command], env=environment, cwd=_ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def reference(
    family: str, corrections: int = 12, recipe: str = "calibrated", *, words: bool = False
) -> Reference:
    """A model with its edits, made when it is first asked for; files of tests share them."""
    folder = _REFERENCES / f"{family}-{corrections}-{recipe}{'-words' if words else ''}"
    if not (folder / "expected.json").is_file():
        options = ["--corrections", str(corrections), "--recipe", recipe]
        options += ["--words"] * words
        in_project("tests.vllm.reference", family, str(folder), *options)
    read = json.loads((folder / "expected.json").read_text())
    return Reference(folder=folder, ends=read["ends"], questions=read["questions"])


@contextmanager
def engine(made: Reference, *, edits: bool = True, **options: Any) -> Iterator[LLM]:
    """A vLLM with the plugin at work, or without."""
    given: dict[str, Any] = {
        "dtype": "float32",
        "enforce_eager": True,
        "max_num_seqs": 16,
        "max_model_len": 512,
        "limit_mm_per_prompt": {"image": 2},
        "seed": 0,
    }
    if edits:
        given["additional_config"] = {"liveedit": made.settings}
    llm = LLM(str(made.folder / "model"), **given | options)
    try:
        yield proxy(llm)  # whoever kept the engine itself would end the next one with it
    finally:
        del llm
        gc.collect()
        cleanup_dist_env_and_memory()


def served_layer(llm: LLM) -> Any:
    return llm.llm_engine.model_executor.driver_worker.worker.served_layer


def prompts_of(questions: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"prompt": one["prompt"]}
        | ({"multi_modal_data": {"image": Image.open(one["file"])}} if one["file"] else {})
        for one in questions
    ]


def sampling(made: Reference, one: dict[str, Any], **options: Any) -> SamplingParams:
    fields = {"liveedit_namespace": one["namespace"]} | options.pop("fields", {})
    given = {"temperature": 0.0, "max_tokens": TOKENS, "stop_token_ids": made.ends, "logprobs": 2}
    return SamplingParams(**given | options, extra_args=fields)


def ask(llm: LLM, made: Reference, questions: Sequence[dict[str, Any]], **options: Any) -> list:
    """Answers to questions, all at once."""
    params = [sampling(made, one, **options) for one in questions]
    return llm.generate(prompts_of(questions), params, use_tqdm=False)


def chat(llm: LLM, made: Reference, questions: Sequence[dict[str, Any]]) -> list:
    """Answers to questions as messages, with the token that starts a sequence."""
    messages = [[{"role": "user", "content": _content(one)}] for one in questions]
    params = [sampling(made, one) for one in questions]
    starts = {"add_special_tokens": True}
    return llm.chat(messages, params, use_tqdm=False, tokenization_kwargs=starts)


def _content(one: dict[str, Any]) -> list[dict[str, Any]]:
    text = {"type": "text", "text": one["question"]}
    if one["file"] is None:
        return [text]
    encoded = base64.b64encode(Path(one["file"]).read_bytes()).decode()
    url = f"data:image/png;base64,{encoded}"
    return [{"type": "image_url", "image_url": {"url": url}}, text]


def tokens(answer: Any) -> list[int]:
    return list(answer.outputs[0].token_ids)


def logprobs(answer: Any) -> list[dict[int, float]]:
    return [{k: v.logprob for k, v in at.items()} for at in answer.outputs[0].logprobs]


def told(capsys: pytest.CaptureFixture[str], line: str) -> None:
    """Show a line whatever pytest captures."""
    with capsys.disabled():
        print(f"\n{line}", end=" ")
