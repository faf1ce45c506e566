"""A batch of answers is decoded, and each job told what it is given meanwhile."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from transformers import StoppingCriteriaList

from liveedit.backbones.query import Questions
from liveedit.editor import EditedModel
from liveedit.methods.route import Route
from liveedit.serve.decoding import Telling
from liveedit.serve.jobs import Job
from liveedit.store.pool import Pool, count_kinds


@torch.no_grad()
def answer(model: EditedModel, jobs: list[Job]) -> None:
    """Answer a batch; each job is told what it is given as it is decoded.

    Args:
        model: What answers.
        jobs: Of one revision and one way of choosing tokens.
    """
    pool = _pool_for(model, jobs)
    asked = Questions(
        pictures=[job.pictures for job in jobs],
        prompts=[job.prompt for job in jobs],
        histories=[job.history for job in jobs] if any(job.history for job in jobs) else None,
    )
    for job in jobs:
        job.seen_revision = pool.revision
    backbone, sampling = model.backbone, jobs[0].sampling
    if sampling.seed is not None:
        torch.manual_seed(sampling.seed)
    with model.method.apply(asked, pool, partial(_keep_fired, jobs)) as query:
        start = query.input_ids.shape[1]
        telling = Telling(jobs, backbone.tokenizer, start=start, ends=set(backbone.ends))
        options = {
            **sampling.options,
            "max_new_tokens": max(job.max_tokens for job in jobs),
            "stopping_criteria": StoppingCriteriaList([telling]),
        }
        if sampling.logprobs:
            options |= {"return_dict_in_generate": True, "output_logits": True}
        for job, length in zip(jobs, query.attention_mask.sum(1).tolist(), strict=True):
            job.prompt_tokens = length
        output = backbone.generate_output(query, options)
    if sampling.logprobs:  # which are told with the end of the answer
        _keep_logprobs(model, jobs, output, start)
        telling.end()


def _pool_for(model: EditedModel, jobs: list[Job]) -> Pool:
    """The edits of each job's namespace, none where they are disabled."""
    spaces = [job.namespace for job in jobs]
    pool = model.store.pool(None, namespaces=spaces, revision=jobs[0].revision)
    if any(job.disabled for job in jobs):
        eligible = pool.eligible.expand(len(jobs), -1).clone()
        eligible[[at for at, job in enumerate(jobs) if job.disabled]] = False
        pool = replace(pool, eligible=eligible, crowd=count_kinds(eligible, pool.keys.sees))
    return pool


def _keep_fired(jobs: list[Job], route: Route, near: Pool) -> None:
    for job, weights in zip(jobs, route.weights, strict=True):
        used = weights.nonzero().flatten().tolist()
        job.fired = {near.ids[at]: round(weights[at].item(), 4) for at in used}


def _keep_logprobs(model: EditedModel, jobs: list[Job], output: Any, start: int) -> None:
    decode = model.backbone.tokenizer.decode
    for row, job in enumerate(jobs):
        for at in range(min(job.tokens, len(output.logits))):
            scores = output.logits[at][row].float().log_softmax(-1)
            top = scores.topk(20)
            token = int(output.sequences[row, start + at])
            job.logprobs.append(
                {
                    "token": decode([token]),
                    "logprob": scores[token].item(),
                    "top": [(decode([one]), value) for one, value in
                            zip(top.indices.tolist(), top.values.tolist(), strict=True)],
                }
            )  # fmt: skip
