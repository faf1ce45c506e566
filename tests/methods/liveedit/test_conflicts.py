import math
from dataclasses import replace

import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor
from torch.nn import functional as F

from liveedit.correction import Correction, pictures_identity
from liveedit.methods.conflicts import find_conflicts, superseding
from liveedit.methods.liveedit.config import LiveEditConfig
from liveedit.methods.liveedit.conflicts import likeness
from liveedit.methods.liveedit.features import EditFeatures
from liveedit.methods.liveedit.tensors import features_of, keys_of
from liveedit.methods.outcome import Conflict
from liveedit.store.edit import Edit
from liveedit.store.layout import Layout
from liveedit.store.memory import MemoryStore

LAYOUT = Layout(keys={"vision": 2, "prompt": 2}, values={"u": (1, 3), "v": (1, 3)})
CONFIG = LiveEditConfig(
    same_question=0.8, same_text=0.9, same_subject=0.8, alike=0.7, alike_text=0.8
)


def drawn(x: int = 60, ground: str = "white") -> Image.Image:
    picture = Image.new("RGB", (200, 200), ground)
    ImageDraw.Draw(picture).ellipse((x, 60, x + 70, 150), fill="red", outline="black", width=4)
    return picture


PICTURE = drawn()


def at(*degrees: float) -> Tensor:
    """Unit vectors in a plane: cosines are those of differences of angles."""
    return torch.tensor([[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees])


def features(shown: tuple[float, ...], asked: tuple[float, ...], *, sees: bool = True):
    return EditFeatures(
        vision=at(*shown), prompt=at(*asked), sees=torch.tensor([sees] * len(shown))
    )


def stated(targets: str, picture: Image.Image | None = PICTURE) -> list[Correction]:
    return [Correction(image=picture, prompt="p", target=target) for target in targets.split()]


def edits_of(corrections: list[Correction], **more: str) -> list[Edit]:
    return [
        Edit(prompt=c.prompt, target=c.target, image=pictures_identity(c.image), **more)
        for c in corrections
    ]


def filled(corrections: list[Correction], edits: list[Edit], known: EditFeatures) -> MemoryStore:
    store = MemoryStore(LAYOUT)
    nothing = torch.zeros(len(edits), 1, 3)
    store.add(
        edits, keys_of(known), {"u": nothing, "v": nothing}, [one.image for one in corrections]
    )
    return store


def found(
    corrections: list[Correction],
    edits: list[Edit],
    new: EditFeatures,
    store: MemoryStore | None = None,
    config: LiveEditConfig = CONFIG,
) -> list[tuple[Conflict, ...]]:
    store = store or MemoryStore(LAYOUT)
    pool = store.pool(namespaces=[edit.namespace for edit in edits])

    def alike(other):
        return likeness(new, new if other is None else features_of(other.keys.whole), config)

    return find_conflicts(edits, corrections, store, pool, alike)


def test_likeness_equals_a_slow_one() -> None:
    torch.manual_seed(0)
    one, other = (
        EditFeatures(
            vision=F.normalize(torch.randn(rows, 5), dim=1),
            prompt=F.normalize(torch.randn(rows, 5), dim=1),
            sees=torch.arange(rows) % 3 != 0,
        )
        for rows in (6, 9)
    )
    similar = torch.full((6, 9), -1.0)
    asked = torch.full((6, 9), -1.0)
    for a in range(6):
        for b in range(9):
            if one.sees[a] == other.sees[b]:
                asked[a, b] = similar[a, b] = float(one.prompt[a] @ other.prompt[b])
            if one.sees[a] and other.sees[b]:
                similar[a, b] = min(asked[a, b], float(one.vision[a] @ other.vision[b]))
    sees = one.sees[:, None]
    told = likeness(one, other, CONFIG)
    torch.testing.assert_close(told.similarity, similar)
    assert torch.equal(told.alike, similar > torch.where(sees, 0.7, 0.8))
    assert torch.equal(told.asked, asked > torch.where(sees, 0.8, 0.9))


@pytest.mark.parametrize(
    ("picture", "shown", "asked", "kind"),
    [
        (PICTURE, 0, 0, "contradicts"),
        (PICTURE, 0, 30, "contradicts"),  # cosine 0.87: the same question in other words
        (PICTURE, 80, 30, "contradicts"),  # the same picture, whatever was looked at in it
        (PICTURE, 0, 40, "alike"),  # 0.77: another question
        (PICTURE, 0, 60, None),
        (PICTURE.resize((90, 90)), 0, 0, "contradicts"),  # saved anew
        (drawn(x=110), 0, 0, "alike"),  # the same thing in another place
        (drawn(ground="blue"), 0, 0, "alike"),
        (drawn(ground="blue"), 50, 0, None),
    ],
)
def test_what_contradicts_is_the_same_picture_and_the_same_question(
    picture, shown, asked, kind
) -> None:
    earlier, new = stated("one"), stated("other", picture)
    before = edits_of(earlier)
    store = filled(earlier, before, features((0,), (0,)))
    edits = edits_of(new)
    told = found(new, edits, features((shown,), (asked,)), store)
    assert [[(one.edit, one.kind) for one in row] for row in told] == [
        [(before[0], kind)] if kind else []
    ]
    for which, kinds in (("same", ["contradicts"]), ("alike", ["contradicts", "alike"])):
        gone = superseding(edits, told, which)[0].supersedes
        assert gone == ((before[0].id,) if kind in kinds else ())
    assert superseding(edits, told, "never")[0].supersedes == ()


@pytest.mark.parametrize(
    ("question", "asked", "kind"),
    [
        ("What is she wearing on her head?", 40, "contradicts"),
        ("What is the dog doing?", 40, "alike"),  # 0.77, and other words
        ("What is the dog doing?", 30, "contradicts"),  # 0.87: the features are sure
        ("What is she wearing on her head?", 60, None),  # 0.5: so they are here
    ],
)
def test_in_doubt_a_sentence_encoder_has_a_say_where_it_is_asked(question, asked, kind) -> None:
    plain = CONFIG.model_copy(update={"same_question": 0.6})
    config = plain.model_copy(update={"sentence_encoder": True})
    earlier = [Correction(image=PICTURE, prompt="What is on the girl's head?", target="one")]
    new = [Correction(image=PICTURE, prompt=question, target="other")]
    known, ours = features((0,), (0,)), features((0,), (asked,))
    store = filled(earlier, edits_of(earlier), known)
    for chosen, wanted in ((config, kind), (plain, kind and "contradicts")):
        (told,) = found(new, edits_of(new), ours, store, chosen)
        assert [one.kind for one in told] == ([wanted] if wanted else [])


def test_the_same_target_repeats_the_same_and_is_nothing_about_the_like() -> None:
    earlier = stated("one")
    before = edits_of(earlier)
    store = filled(earlier, before, features((0,), (0,)))
    for picture, kinds in ((PICTURE, ["repeats"]), (drawn(ground="blue"), [])):
        new = stated("ONE", picture)
        (told,) = found(new, edits_of(new), features((0,), (0,)), store)
        assert [one.kind for one in told] == kinds


@pytest.mark.parametrize(
    ("subject", "asked", "kind"),
    [
        (0, 0, "contradicts"), (30, 20, "contradicts"), (0, 30, "alike"), (0, 50, None),
        (40, 0, None), (90, 0, None), (None, 20, "contradicts"), (None, 30, "alike"),
    ],
)  # fmt: skip
def test_without_a_picture_subject_and_question_decide(subject, asked, kind) -> None:
    """Of an editor without a subject filter the question alone."""
    earlier, new = stated("one", None), stated("other", None)
    known, ours = (
        features((angle or 0,), (question,), sees=False)
        for angle, question in ((0, 0), (subject, asked))
    )
    if subject is None:
        known, ours = (replace(some, vision=torch.zeros(1, 2)) for some in (known, ours))
    store = filled(earlier, edits_of(earlier), known)
    (told,) = found(new, edits_of(new), ours, store)
    assert [one.kind for one in told] == ([kind] if kind else [])


@pytest.mark.parametrize("sees", [False, True])
def test_with_and_without_a_picture_never_conflict(sees) -> None:
    with_picture, without = stated("one"), stated("other", None)
    earlier, new = (with_picture, without) if sees else (without, with_picture)
    store = filled(earlier, edits_of(earlier), features((0,), (0,), sees=sees))
    assert found(new, edits_of(new), features((0,), (0,), sees=not sees), store) == [()]


@pytest.mark.parametrize("sees", [False, True])
def test_namespaces_never_conflict_in_the_store_or_the_batch(sees) -> None:
    picture = PICTURE if sees else None
    earlier = stated("one one", picture)
    a, b = (edits_of(earlier[:1], namespace=name)[0] for name in "ab")
    store = filled(earlier, [a, b], features((0, 0), (0, 0), sees=sees))
    stating = stated("other", picture)
    new = [edits_of(stating, namespace=name)[0] for name in "abca"]
    told = found(stating * 4, new, features((0,) * 4, (0,) * 4, sees=sees), store)
    assert [{one.edit.id for one in row} for row in told] == [
        {a.id}, {b.id}, set(), {a.id, new[0].id},
    ]  # fmt: skip


def test_a_later_one_of_the_batch_conflicts_with_an_earlier_one() -> None:
    corrections = stated("one other ONE")
    edits = edits_of(corrections)
    first, second, third = found(corrections, edits, features((0,) * 3, (0,) * 3))
    assert first == ()
    assert [(one.edit, one.kind) for one in second] == [(edits[0], "contradicts")]
    assert {one.edit.id: one.kind for one in third} == {
        edits[0].id: "repeats",
        edits[1].id: "contradicts",
    }


def test_the_most_alike_comes_first_and_what_is_not_in_force_is_left_out() -> None:
    earlier = stated("far near revoked")
    far, near, revoked = edits_of(earlier)
    store = filled(earlier, [far, near, revoked], features((0, 0, 0), (30, 10, 0)))
    store.revoke(revoked.id)
    new = stated("other")
    (told,) = found(new, edits_of(new), features((0,), (0,)), store)
    assert [one.edit for one in told] == [near, far]


def test_superseding_names_what_the_superseded_had_superseded() -> None:
    earlier = stated("one two", None)
    (oldest,) = edits_of(earlier[:1])
    old = Edit(prompt="p", target="two", image=None, supersedes=(oldest.id,))
    store = filled(earlier, [oldest, old], features((0, 0), (0, 0), sees=False))
    corrections = stated("other another other", None)
    edits = edits_of(corrections)
    told = found(corrections, edits, features((0,) * 3, (0,) * 3, sees=False), store)
    first, second, third = superseding(edits, told, "same")
    assert set(first.supersedes) == {old.id, oldest.id}
    assert set(second.supersedes) == {old.id, oldest.id, first.id}
    assert set(third.supersedes) == {old.id, oldest.id, first.id, second.id}
