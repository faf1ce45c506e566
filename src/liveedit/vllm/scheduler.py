"""Schedulers that compute the prompt of a request with edits whole, or not yet.

What concerns a prompt is known from all of its states. vLLM without chunked prefill cuts a prompt
all the same where there is no room for its pictures in a step: such a request waits for the next.
"""

from __future__ import annotations

from typing import Any

from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler

from liveedit.vllm.asked import pinned


class WholePrompts(Scheduler):
    """vLLM's own, but for that."""

    def _try_schedule_encoder_inputs(
        self,
        request: Any,
        num_computed_tokens: int,
        num_new_tokens: int,
        encoder_compute_budget: int,
        shift_computed_tokens: int = 0,
    ) -> Any:
        found = super()._try_schedule_encoder_inputs(
            request,
            num_computed_tokens,
            num_new_tokens,
            encoder_compute_budget,
            shift_computed_tokens=shift_computed_tokens,
        )
        cut = found[1] < num_new_tokens
        sampling = request.sampling_params
        if cut and sampling is not None and pinned(sampling.extra_args or {}) is not None:
            return [], 0, encoder_compute_budget, [], []
        return found


class AsyncWholePrompts(WholePrompts, AsyncScheduler):
    """The same while the step before is still computed."""
