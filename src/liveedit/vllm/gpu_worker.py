"""The worker of a GPU that serves edits."""

from __future__ import annotations

from vllm.v1.worker.gpu_worker import Worker

from liveedit.vllm.edited_worker import EditsRequests


class EditingWorker(EditsRequests, Worker):
    """vLLM's own, with edits."""
