"""EditedModel: a vision-language model that takes corrections, and gives them up again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor

from liveedit.backbones.query import Query, Questions
from liveedit.correction import Correction, ImageSource
from liveedit.correction.conversation import Messages
from liveedit.editor.explaining import explanations
from liveedit.editor.inputs import (
    Given,
    check_corrections,
    edits_of,
    open_conversations,
    open_questions,
    stated_correction,
)
from liveedit.editor.lifetime import Lifetime
from liveedit.editor.making import refuse_unreached, write_edits
from liveedit.editor.replay import revoke_by_replay
from liveedit.errors import MethodCannot, cannot_restore
from liveedit.methods.outcome import EditOutcome, Supersede
from liveedit.methods.route import Explanation
from liveedit.store.edit import Edit


class EditedModel(Lifetime):
    """A loaded backbone with an editing method and a store; no weight is ever changed for good.

    Without edits, and after the last one is revoked, all outputs are bit-identical to the
    backbone's own.

    Args:
        method: An editing method, with the backbone it is for.
        store: Where edits are kept, or the file or URL of a store, which is made if it is not
            there; in memory by default.

    Raises:
        OtherMethod: The store's edits were made by another method; it is not touched.
        StoreError: The store cannot be used, or was made with another backbone or editor.
    """

    def edit(
        self,
        image: ImageSource | Sequence[ImageSource] | None = None,
        prompt: str | None = None,
        target: str | None = None,
        *,
        messages: Messages | None = None,
        rephrasings: Sequence[str] = (),
        author: str = "",
        reason: str = "",
        supersede: Supersede | None = None,
        keep: bool = False,
        preview: bool = False,
    ) -> EditOutcome:
        """Correct one answer: from now on, ``prompt`` about what ``image`` shows gives ``target``.

        Args:
            image: What is seen, or several pictures that the question is about together; None for a
                text-only correction, which concerns questions without a picture alone.
            prompt: The question.
            target: The right answer, up to 1,000 tokens long.
            messages: A conversation in place of picture and question: its last answer is corrected,
                or what its last question should be answered with.
            rephrasings: The question in other words, which should be answered so, too.
            author: Who corrects.
            reason: Why.
            supersede: See :meth:`edit_many`.
            keep: Put the edit in force even if its target is not reached.
            preview: Only say what would come of it; nothing is written.

        Raises:
            TypeError: Prompt or target is missing, or there is a conversation beside them.
            TargetNotReached: The model would still answer something else; nothing is written.
            TargetTooLong, ContextTooLong: The target has more tokens than can be learned.
            BadConversation: It cannot be corrected.
            BadImage: The picture cannot be read.
            EmptyText: Prompt or target says nothing.
            ControlTokenInText: Prompt or target holds a control token of the model.
            TextOnlyCorrection: There is no picture, and the method needs one.
            PastRevision: Within :meth:`at`.
            StoreError: The store cannot be written.
        """
        correction = stated_correction(image, prompt, target, messages, rephrasings)
        (made,) = self.edit_many(
            [correction],
            author=author,
            reason=reason,
            supersede=supersede,
            keep=keep,
            preview=preview,
        )
        return made

    def edit_many(
        self,
        corrections: Sequence[Correction],
        *,
        namespaces: Sequence[str] | None = None,
        batch: int = 32,
        author: str | Sequence[str] = "",
        reason: str | Sequence[str] = "",
        supersede: Supersede | None = None,
        keep: bool = False,
        skip_unreached: bool = False,
        preview: bool = False,
        before_write: Callable[[list[EditOutcome]], None] | None = None,
        progress: bool = False,
    ) -> list[EditOutcome]:
        """Correct many answers at once; either all corrections become edits or none does.

        Args:
            corrections: What to correct, the oldest first.
            namespaces: The set of edits that each belongs to; that of :meth:`namespace` by default.
            batch: How many are processed together.
            author: Who corrects, all or each.
            reason: Why, all or each.
            supersede: Which earlier edits go out of force: those with the ``same`` picture and the
                same question (the default), ``alike`` ones as well, or ``never`` any.
            keep: Put edits in force even if their targets are not reached.
            skip_unreached: Leave those out, and write the others; the outcomes of those that were
                left out are ``refused``.
            preview: Only say what would come of it; nothing is written.
            before_write: Is shown the outcomes, conflicts with earlier edits among them, before
                anything is written; if it raises, nothing is.
            progress: Show a progress bar.

        Raises:
            ValueError: There are not as many namespaces as corrections, or both ``keep`` and
                ``skip_unreached``.
            TargetNotReached: The target of one is not; nothing is written.
            TargetTooLong, ControlTokenInText, TextOnlyCorrection, PastRevision, StoreError: See
                :meth:`edit`.
        """
        self._refuse_past()
        self._check_model()
        if keep and skip_unreached:
            raise ValueError("keep what is not reached or skip it: give one of the two")
        check_corrections(self.method, corrections)
        if namespaces is None:
            namespaces = [self._namespace.get()] * len(corrections)
        if len(namespaces) != len(corrections):
            raise ValueError(
                f"{len(corrections)} corrections, {len(namespaces)} namespaces: give one for each"
            )
        edits = edits_of(corrections, namespaces=namespaces, author=author, reason=reason)
        with self.store.transaction(keep=not preview):
            outcomes = write_edits(
                self.method,
                self.store,
                corrections,
                edits,
                batch=batch,
                keep=keep,
                skip_unreached=skip_unreached,
                supersede=supersede,
                progress=progress,
            )
            if not (keep or skip_unreached or preview):
                refuse_unreached(outcomes)
            if before_write is not None:
                before_write(outcomes)
        return outcomes

    def revoke(self, edit_id: str, *, author: str = "", reason: str = "") -> Edit:
        """Take an edit back; the model answers as if it had never been made.

        What it alone superseded is in force again. Where edits build on each other, those made
        after it are made again without it, under new names; the old names still mean them.

        Raises:
            UnknownEdit: There is none of that name, or it is revoked already.
            MethodCannot: The method cannot take edits back, or the picture of an edit that would
                have to be made again is not kept.
            PastRevision: Within :meth:`at`.
            StoreError: The store cannot be written.
        """
        return self.revoke_many([edit_id], author=author, reason=reason)[0]

    def revoke_many(
        self,
        edit_ids: Sequence[str],
        *,
        author: str = "",
        reason: str = "",
        progress: bool = False,
    ) -> list[Edit]:
        """Take edits back together, all of them or none; see :meth:`revoke`.

        Where edits build on each other, later ones are made again once, not once for each.

        Args:
            edit_ids: Their names.
            author: Who takes them back.
            reason: Why.
            progress: Show a progress bar, if edits are made again.
        """
        self._refuse_past()
        names = list(dict.fromkeys(edit_ids))
        if not names:
            return []
        if self.method.abilities.revoke == "never":
            raise MethodCannot(
                self.method.name,
                "take an edit back",
                instead="correct the answer anew, or start from a store without it",
            )
        if self.method.abilities.revoke == "replay":
            self._check_model()
            return revoke_by_replay(
                self.method, self.store, names,
                author=author, reason=reason, progress=progress,
            )  # fmt: skip
        return self.store.revoke_many(names, author=author, reason=reason)

    def restore(self, edit_id: str, *, author: str = "", reason: str = "") -> Edit:
        """Take a revocation back; see :meth:`restore_many`."""
        return self.restore_many([edit_id], author=author, reason=reason)[0]

    def restore_many(
        self, edit_ids: Sequence[str], *, author: str = "", reason: str = ""
    ) -> list[Edit]:
        """Take revocations back, all or none; what the edits supersede is out of force again.

        Raises:
            UnknownEdit: There is none of one of the names that is revoked.
            MethodCannot: Other edits were made again without them.
            PastRevision: Within :meth:`at`.
            StoreError: The store cannot be written.
        """
        self._refuse_past()
        if self.method.abilities.revoke == "replay":
            raise cannot_restore(self.method.name)
        names = list(dict.fromkeys(edit_ids))
        return self.store.restore_many(names, author=author, reason=reason) if names else []

    def generate(
        self,
        images: Given,
        prompts: str | Sequence[str],
        *,
        max_new_tokens: int = 256,
        **options: Any,
    ) -> Any:
        """Answer questions about pictures, with the edits that concern them.

        Args:
            images: One picture (a path, bytes, a picture of PIL, an array or a tensor), several or
                None; of several questions one (several, or None) for each, or a single one for all.
            prompts: One question, or several.
            max_new_tokens: Longest answer.
            options: Passed on to the model's ``generate`` (beams, sampling, streamer,
                stop_strings, ...); greedy by default.

        Returns:
            For one question the answer; for several, or of several returned sequences, a list. With
            ``return_dict_in_generate=True`` what the model's ``generate`` returns (sequences,
            scores, ...), with the list as ``answers``.

        Raises:
            ValueError: There are not as many pictures as questions.
            BadImage, EmptyText, TextTooLong, BadText: See :mod:`liveedit.correction`.
            UnsupportedGeneration: The options ask for what routing at prefill cannot follow.
        """
        single = isinstance(prompts, str)
        if isinstance(prompts, str):
            images, prompts = [images], [prompts]  # type: ignore[list-item]
        asked = open_questions(images, prompts)
        return self._generated(asked, {"max_new_tokens": max_new_tokens} | options, single=single)

    def chat(
        self,
        messages: Messages | Sequence[Messages],
        *,
        max_new_tokens: int = 256,
        **options: Any,
    ) -> Any:
        """Answer the last question of a conversation, with the edits that concern it.

        Which edits do is decided by the last question and the pictures of the conversation, as if
        the question were asked alone: an edit made from a plain question holds.

        Args:
            messages: Of a conversation, or of several: ``role`` (system, user, assistant) and
                ``content``, a text or a list of parts (text, image, image_url with a data URL or a
                path); see :func:`liveedit.correction.conversation.read_conversation`.
            max_new_tokens: Longest answer.
            options: See :meth:`generate`.

        Returns:
            The answer, or a list; see :meth:`generate`.

        Raises:
            BadConversation: It is empty, ends with the assistant, has an unknown role or part, or
                the model knows no conversations.
            BadImage, UnsupportedGeneration: See :meth:`generate`.
        """
        single = not messages or isinstance(messages[0], Mapping)
        asked = open_conversations(cast("Sequence[Messages]", [messages] if single else messages))
        return self._generated(asked, {"max_new_tokens": max_new_tokens} | options, single=single)

    @torch.no_grad()
    def explain(
        self, image: ImageSource | None, prompt: str, *, most: int | None = None
    ) -> list[Explanation]:
        """What the method thinks of each edit in force for one query, largest weight first.

        Of very many edits only those that the store's index proposes are looked at.

        Args:
            image: A picture, or None.
            prompt: A question.
            most: Only so many, the first.
        """
        self._check_model()
        question = open_questions([image], [prompt])
        return explanations(self.method, question, self._pool(), self.store, most=most)

    def _generated(self, asked: Questions, options: dict[str, Any], *, single: bool) -> Any:
        if not asked.prompts:
            return []
        with torch.no_grad(), self._answering(asked) as query:
            output = self.backbone.generate_output(query, options)
            answers = [answer.strip() for answer in self.backbone.decoded(query, output)]
        if not isinstance(output, Tensor):
            output["answers"] = answers
            return output
        return answers[0] if single and len(answers) == 1 else answers

    def _answering(self, questions: Questions) -> AbstractContextManager[Query]:
        """What the backbone is to be given, with the edits that concern it."""
        pool = self._pool()  # the query sees this revision, whatever is written meanwhile
        self.backbone.check_open()
        if pool.eligible.any():
            self._check_model()
            return self.method.apply(questions, pool)
        return nullcontext(
            self.backbone.query(
                questions.pictures, questions.prompts, histories=questions.histories
            )
        )
