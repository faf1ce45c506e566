"""Callers of one backbone never meet: threads, tasks, namespaces, two models, the bare model."""

import asyncio
import contextvars
import copy
import pickle
import threading
from collections import Counter, defaultdict
from collections.abc import Callable

import pytest
import torch
from transformers import TextIteratorStreamer

from liveedit.backbones.query import Questions
from liveedit.editor import EditedModel
from liveedit.errors import UnsupportedGeneration
from liveedit.methods.liveedit.method import LiveEdit

ASKED = "What is this?"
TARGETS = {"a": "a violet", "b": "in Rome"}
TOKENS = {"max_new_tokens": 6}
ROUNDS = 8


@pytest.fixture
def shared(model: EditedModel, pictures) -> EditedModel:
    """One model, with an edit of the same question in each of two namespaces."""
    for space, target in TARGETS.items():
        with model.namespace(space):
            assert model.edit(pictures[0], ASKED, target).reached
    return model


def together(*works: Callable[[], None]) -> None:
    """Run all in threads that begin at the same time; the first error is raised."""
    start, errors = threading.Barrier(len(works)), []

    def run(work: Callable[[], None]) -> None:
        start.wait()
        try:
            work()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    if errors:
        raise errors[0]


def bare_logits(model: EditedModel, pictures) -> torch.Tensor:
    """As somebody gets them who uses the transformers model and knows nothing of us."""
    query = model.backbone.query([pictures[0]], [ASKED])
    with torch.no_grad():
        return model.backbone.model(**query.model_inputs()).logits


def test_each_thread_gets_the_edits_of_its_namespace(shared: EditedModel, pictures) -> None:
    plain, base = shared.generate(pictures[0], ASKED, **TOKENS), bare_logits(shared, pictures)
    said: dict[str, Counter[str]] = defaultdict(Counter)
    same: list[bool] = []

    def ask(space: str) -> None:
        for _ in range(ROUNDS):
            with shared.namespace(space):
                said[space][shared.generate(pictures[0], ASKED, **TOKENS)] += 1

    def ask_bare() -> None:
        same.extend(torch.equal(bare_logits(shared, pictures), base) for _ in range(ROUNDS))

    def ask_disabled() -> None:
        for _ in range(ROUNDS):
            with shared.namespace("a"), shared.disabled():
                said["disabled"][shared.generate(pictures[0], ASKED, **TOKENS)] += 1

    together(*(lambda space=space: ask(space) for space in ("a", "b", "")), ask_bare, ask_disabled)
    assert said["a"] == {TARGETS["a"]: ROUNDS}
    assert said["b"] == {TARGETS["b"]: ROUNDS}
    assert said[""] == said["disabled"] == {plain: ROUNDS}
    assert same == [True] * ROUNDS


def test_edits_are_made_while_others_ask(shared: EditedModel, pictures) -> None:
    """What is read for an edit stops at the edit layer; nobody else's pass does."""
    said: Counter[str] = Counter()
    base, same = bare_logits(shared, pictures), []

    def write() -> None:
        for number in range(ROUNDS):
            with shared.namespace("written"):
                shared.edit(pictures[1], f"Where is number {number}?", "in Rome")

    def ask() -> None:
        for _ in range(2 * ROUNDS):
            with shared.namespace("a"):
                said[shared.generate(pictures[0], ASKED, **TOKENS)] += 1

    def ask_bare() -> None:
        same.extend(torch.equal(bare_logits(shared, pictures), base) for _ in range(2 * ROUNDS))

    together(write, ask, ask_bare)
    assert said == {TARGETS["a"]: 2 * ROUNDS}
    assert all(same)
    assert [edit.namespace for edit in shared.edits].count("written") == ROUNDS


def test_two_models_on_one_backbone(shared: EditedModel, pictures) -> None:
    other = EditedModel(LiveEdit(shared.backbone, shared.method.network))
    other.edit(pictures[0], ASKED, "made of wood")
    said: dict[str, Counter[str]] = defaultdict(Counter)

    def ask(name: str, model: EditedModel, space: str) -> None:
        for _ in range(ROUNDS):
            with model.namespace(space):
                said[name][model.generate(pictures[0], ASKED, **TOKENS)] += 1

    together(lambda: ask("one", shared, "a"), lambda: ask("other", other, ""))
    assert said["one"] == {TARGETS["a"]: ROUNDS}
    assert said["other"] == {"made of wood": ROUNDS}


def test_tasks_and_their_threads_keep_their_namespace(shared: EditedModel, pictures) -> None:
    async def ask(space: str) -> str:
        with shared.namespace(space):
            await asyncio.sleep(0)
            return await asyncio.to_thread(shared.generate, pictures[0], ASKED, **TOKENS)

    async def all_at_once() -> list[str]:
        return await asyncio.gather(*(ask(space) for space in ("a", "b") * 4))

    assert asyncio.run(all_at_once()) == [TARGETS["a"], TARGETS["b"]] * 4


def test_streams_in_threads(shared: EditedModel, pictures) -> None:
    pieces: dict[str, str] = {}

    def stream(space: str) -> None:
        streamer = TextIteratorStreamer(
            shared.backbone.tokenizer, skip_prompt=True, skip_special_tokens=True
        )
        call = {"streamer": streamer, **TOKENS}
        with shared.namespace(space):
            context = contextvars.copy_context()  # a thread begins without its starter's
        thread = threading.Thread(
            target=context.run, args=(lambda: shared.generate(pictures[0], ASKED, **call),)
        )
        thread.start()
        pieces[space] = "".join(streamer).strip()
        thread.join()

    together(*(lambda space=space: stream(space) for space in TARGETS))
    assert pieces == TARGETS


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_in_one_call_leaves_nothing_behind(shared: EditedModel, pictures, error) -> None:
    base = bare_logits(shared, pictures)

    class Stop:
        def put(self, _value: object) -> None:
            raise error

        def end(self) -> None: ...

    with shared.namespace("a"):
        with pytest.raises(error):
            shared.generate(pictures[0], ASKED, streamer=Stop(), **TOKENS)
        with pytest.raises(UnsupportedGeneration):
            shared.generate(pictures[0], ASKED, prefill_chunk_size=2)
        assert torch.equal(bare_logits(shared, pictures), base)
        assert shared.generate(pictures[0], ASKED, **TOKENS) == TARGETS["a"]


def test_hooks_of_others_stay(shared: EditedModel, pictures) -> None:
    seen: list[int] = []
    handle = shared.backbone.layer.register_forward_hook(lambda *_: seen.append(1))
    with shared.namespace("a"):
        shared.generate(pictures[0], ASKED, **TOKENS)
    assert len(seen) > 1
    handle.remove()


def test_the_hook_goes_with_the_backbone(shared: EditedModel, tiny_model, processor) -> None:
    from liveedit.backbones.llava import LlavaBackbone

    layer = shared.backbone.layer
    before = len(layer._forward_hooks)
    wrapped = LlavaBackbone(tiny_model, processor, edit_layer=1, name="again")
    assert len(layer._forward_hooks) == before + 1
    del wrapped
    assert len(layer._forward_hooks) == before


def test_the_bare_model_can_be_copied_and_pickled(shared: EditedModel, pictures) -> None:
    query = shared.backbone.query([pictures[0]], [ASKED])
    twins = (
        copy.deepcopy(shared.backbone.model),
        pickle.loads(pickle.dumps(shared.backbone.model)),
    )
    with torch.no_grad():
        base = shared.backbone.model(**query.model_inputs()).logits
        for twin in twins:
            assert torch.equal(twin(**query.model_inputs()).logits, base)
    questions = Questions(pictures=[pictures[0]], prompts=[ASKED])
    pool = shared.store.pool(namespaces=["a"])
    with torch.no_grad(), shared.method.apply(questions, pool) as query:
        for twin in twins:
            assert torch.equal(twin(**query.model_inputs()).logits, base)
        assert not torch.equal(shared.backbone.model(**query.model_inputs()).logits, base)


def test_an_edited_model_says_how_it_is_copied(shared: EditedModel) -> None:
    for copied in (copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="save_pretrained"):
            copied(shared)


def test_a_compiled_model_is_edited_and_the_unedited_is_not(model, pictures) -> None:
    """Whatever was traced before: dynamo may not take the hook's answer for a constant."""
    query = model.backbone.query([pictures[0]], [ASKED])
    plain = model.generate(pictures[0], ASKED, max_new_tokens=4)
    layer = model.backbone.layer
    layer.compile(backend="eager")
    try:
        with torch.no_grad():
            bare = model.backbone.logits(query)
        model.edit(pictures[0], ASKED, "a violet")
        assert model.generate(pictures[0], ASKED, max_new_tokens=8) == "a violet"
        with model.disabled():
            assert model.generate(pictures[0], ASKED, max_new_tokens=4) == plain
        with torch.no_grad():
            assert torch.equal(model.backbone.logits(query), bare)
    finally:
        layer._compiled_call_impl = None
