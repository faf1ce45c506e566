"""The worker of a CPU that serves edits."""

from __future__ import annotations

from vllm.v1.worker.cpu_worker import CPUWorker

from liveedit.vllm.edited_worker import EditsRequests


class EditingWorker(EditsRequests, CPUWorker):
    """vLLM's own, with edits."""
