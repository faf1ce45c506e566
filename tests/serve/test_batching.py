"""Batches, the queue, and what happens to those who go away."""

import threading
import time

import pytest

from liveedit.backbones.query import Questions
from liveedit.serve.batching import Batcher
from liveedit.serve.config import ServeConfig
from liveedit.serve.failures import Refused
from liveedit.serve.jobs import Job, Said, Sampling


class Wanted:
    """A job with all that it was told."""

    def __init__(self, prompt: str = "What is this?", **more) -> None:
        self.said: list[Said] = []
        self.done = threading.Event()
        more = {"max_tokens": 4, "pictures": None, "history": (), **more}
        self.job = Job(prompt=prompt, tell=self._tell, **more)

    def _tell(self, said: Said) -> None:
        self.said.append(said)
        if said.finish:
            self.done.set()

    @property
    def text(self) -> str:
        assert self.done.wait(60)
        return "".join(one.text for one in self.said)

    @property
    def finish(self) -> str | None:
        assert self.done.wait(60)
        return self.said[-1].finish


@pytest.fixture
def batcher(model):
    made = Batcher(model, ServeConfig(batch=4, waiting=10))
    yield made
    made.close(seconds=30)


def batches(batcher: Batcher) -> int:
    """How many there were, the last one ended."""
    batcher.between(lambda: None).result(60)
    return batcher.batches


def held(batcher: Batcher) -> threading.Event:
    """Holds the thread up until the event is set."""
    free = threading.Event()
    began = threading.Event()
    batcher.between(lambda: (began.set(), free.wait(60)))
    assert began.wait(60)
    return free


def test_those_that_wait_are_answered_together_as_each_alone(batcher, model) -> None:
    prompts = ["What is this?", "Where is it?", "Who?", "Why not?"]
    free = held(batcher)
    jobs = [Wanted(prompt) for prompt in prompts]
    batcher.submit(*(one.job for one in jobs))
    free.set()
    assert [one.text for one in jobs] == [
        model.generate(None, prompt, max_new_tokens=4) for prompt in prompts
    ]
    assert batches(batcher) == 1


def test_those_answered_together_may_come_again_together(batcher, monkeypatch) -> None:
    monkeypatch.setattr("liveedit.serve.batching._LINGER", 1e6)
    free = held(batcher)
    first = [Wanted() for _ in range(3)]
    batcher.submit(*(one.job for one in first))
    free.set()
    assert batches(batcher) == 1
    again = [Wanted() for _ in range(3)]
    for one in again:
        batcher.submit(one.job)
        time.sleep(0.02)
    assert all(one.text for one in again)
    assert batches(batcher) == 2
    alone = Wanted()
    batcher.submit(alone.job)
    assert not alone.done.wait(0.1)
    assert batches(batcher) == 3, "an edit waits for nobody who might come"


def test_namespaces_take_turns(batcher) -> None:
    free = held(batcher)
    many = [Wanted(namespace="loud") for _ in range(8)]
    few = [Wanted(namespace="quiet")]
    order: list[str] = []
    for one in (*many, *few):
        tell, space = one.job.tell, one.job.namespace
        one.job.tell = lambda said, tell=tell, space=space: (
            said.finish and order.append(space), tell(said)
        )  # fmt: skip
    batcher.submit(*(one.job for one in many))
    batcher.submit(few[0].job)
    free.set()
    assert all(one.done.wait(60) for one in (*many, *few))
    assert "quiet" in order[:4], "it waits for one batch, not for three"


def test_edits_and_answers_take_turns(batcher) -> None:
    free = held(batcher)
    order: list[str] = []
    edits = [batcher.between(lambda: order.append("edit")) for _ in range(6)]
    seeded = [Wanted(sampling=Sampling(temperature=1.0, seed=at)) for at in range(3)]
    for one in seeded:  # each is a batch of its own
        tell = one.job.tell
        one.job.tell = lambda said, tell=tell: (said.finish and order.append("answer"), tell(said))
    batcher.submit(*(one.job for one in seeded))
    free.set()
    assert all(one.done.wait(60) for one in seeded)
    for one in edits:
        one.result(60)
    assert order == ["answer", "edit"] * 3 + ["edit"] * 3


def test_the_queue_of_edits_is_bounded_and_has_an_end(model) -> None:
    batcher = Batcher(model, ServeConfig(edits_waiting=2, seconds=0.2))
    free = held(batcher)
    done: list[int] = []
    waiting = [batcher.between(lambda: done.append(1)) for _ in range(2)]
    with pytest.raises(Refused) as refused:
        batcher.between(lambda: None)
    assert (refused.value.status, refused.value.retry_after) == (429, 1)
    assert waiting[0].cancel(), "who goes away in time is not waited for"
    time.sleep(0.3)
    free.set()
    with pytest.raises(Refused, match="in time") as late:
        waiting[1].result(60)
    assert late.value.status == 503
    assert batcher.between(lambda: 3).result(60) == 3
    assert not done
    batcher.close(seconds=30)


def test_which_edits_fire_is_found_in_the_pass_that_answers(batcher, model, pictures) -> None:
    made = model.edit(pictures[0], "What is this?", "a violet")
    prefills: list[int] = []
    layer = model.backbone.model.get_decoder().layers[0]
    hook = layer.register_forward_hook(lambda _, __, output: prefills.append(output.shape[1]))
    asked = Wanted(pictures=[pictures[0]], max_tokens=8)
    batcher.submit(asked.job)
    assert asked.text == "a violet"
    hook.remove()
    assert sum(length > 1 for length in prefills) == 1
    route, pool = model.method.route(
        Questions(pictures=[[pictures[0]]], prompts=["What is this?"]), model.store.pool()
    )
    assert pool.ids[0] == made.id
    assert asked.job.fired == {made.id: pytest.approx(route.weights[0, 0].item(), abs=1e-4)}


def test_the_queue_is_bounded(batcher) -> None:
    free = held(batcher)
    batcher.submit(*(Wanted().job for _ in range(10)))
    with pytest.raises(Refused) as refused:
        batcher.submit(Wanted().job)
    assert refused.value.status == 429
    assert refused.value.retry_after
    free.set()


def test_who_goes_away_frees_the_place_and_the_late_are_told(batcher) -> None:
    free = held(batcher)
    gone, late, here = Wanted(), Wanted(deadline=time.monotonic()), Wanted()
    batcher.submit(gone.job, late.job, here.job)
    gone.job.cancelled.set()
    free.set()
    assert here.finish in ("length", "stop")
    assert gone.finish == "cancelled"
    assert late.finish == "timeout"
    assert gone.job.tokens == late.job.tokens == 0
    assert batches(batcher) == 1
    assert batcher.decoded == 1


def test_one_who_goes_while_it_is_answered_ends_alone(batcher) -> None:
    gone, here = Wanted(max_tokens=30), Wanted(max_tokens=30)
    tell = gone.job.tell
    gone.job.tell = lambda said: (gone.job.cancelled.set(), tell(said))
    free = held(batcher)
    batcher.submit(gone.job, here.job)
    free.set()
    assert gone.finish == "cancelled"
    assert here.finish in ("length", "stop")
    assert gone.job.tokens < here.job.tokens or here.finish == "stop"


def test_rows_end_at_their_own_length(batcher) -> None:
    free = held(batcher)
    short, long = Wanted(max_tokens=2), Wanted(max_tokens=9)
    batcher.submit(short.job, long.job)
    free.set()
    assert long.text.startswith(short.text)
    assert short.job.tokens == 2
    assert batches(batcher) == 1


def test_a_drawn_answer_waits_for_no_other(batcher) -> None:
    free = held(batcher)
    seeded = [Wanted(sampling=Sampling(temperature=1.0, seed=1)) for _ in range(2)]
    batcher.submit(*(one.job for one in seeded))
    free.set()
    assert seeded[0].text == seeded[1].text
    assert batches(batcher) == 2


def test_what_fails_fails_alone(batcher, model) -> None:
    free = held(batcher)
    good, bad = Wanted(), Wanted("What is <image>?")  # refused by the tokenizer's guard
    batcher.submit(good.job, bad.job)
    free.set()
    assert good.text == model.generate(None, "What is this?", max_new_tokens=4)
    assert bad.finish
    assert "control token" in str(bad.job.error)


def test_closing_finishes_what_waits_and_takes_on_nothing(model) -> None:
    batcher = Batcher(model, ServeConfig(batch=2))
    free = held(batcher)
    jobs = [Wanted() for _ in range(5)]
    batcher.submit(*(one.job for one in jobs))
    closing = threading.Thread(target=batcher.close, kwargs={"seconds": 60})
    closing.start()
    time.sleep(0.1)
    with pytest.raises(Refused) as refused:
        batcher.submit(Wanted().job)
    assert refused.value.status == 503
    free.set()
    closing.join(60)
    assert all(one.finish in ("length", "stop") for one in jobs)
