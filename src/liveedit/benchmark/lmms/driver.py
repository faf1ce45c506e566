"""Runs in lmms-eval's environment, where liveedit is not: asks over a socket for every answer.

    python driver.py FD '{"tasks": [...], "include": null, "limit": null}'

FD is an open socket. Both sides send lines of JSON: from here ``{"ask": [{"image": base64 of a PNG
or null, "prompt": ..., "max_new_tokens": ...}, ...]}``, answered by ``{"answers": [...]}``, and at
the end ``{"results": {...}}`` or ``{"error": ...}``.
"""

import base64
import io
import json
import socket
import sys

from lmms_eval.api.model import lmms
from lmms_eval.evaluator import simple_evaluate
from lmms_eval.tasks import TaskManager

_BATCH = 32


class Remote(lmms):
    """A model that is asked over a socket.

    Args:
        wire: The socket as a file of lines.
    """

    def __init__(self, wire):
        super().__init__()
        self._wire = wire

    def generate_until(self, requests):
        """Answers, in the order of the requests."""
        answers = []
        for start in range(0, len(requests), _BATCH):
            some = requests[start : start + _BATCH]
            for request, answer in zip(
                some, self._ask([self._asked(one) for one in some]), strict=True
            ):
                until = request.args[1].get("until") or []
                for stop in [until] if isinstance(until, str) else until:
                    answer = answer.split(stop)[0] if stop else answer
                answers.append(answer)
        return answers

    def loglikelihood(self, requests):
        """Refused: answers are generated."""
        raise NotImplementedError("take a task whose output_type is generate_until")

    def generate_until_multi_round(self, requests):
        """Refused: one question, one answer."""
        raise NotImplementedError("take a task whose output_type is generate_until")

    def _asked(self, request):
        prompt, options, to_pictures, document, task, split = request.args
        pictures = to_pictures(self.task_dict[task][split][document]) or []
        if len(pictures) > 1:
            raise NotImplementedError(f"{task} shows {len(pictures)} pictures at once, not one")
        return {
            "image": _png(pictures[0]) if pictures else None,
            "prompt": prompt.replace("<image>", "").strip(),
            "max_new_tokens": options.get("max_new_tokens", 16),
        }

    def _ask(self, asked):
        _send(self._wire, {"ask": asked})
        return json.loads(self._wire.readline())["answers"]


def _png(picture):
    file = io.BytesIO()
    picture.convert("RGB").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def _send(wire, message):
    wire.write(json.dumps(message) + "\n")
    wire.flush()


def main(descriptor, settings):
    """Evaluate, and send the results or what went wrong."""
    wire = socket.socket(fileno=int(descriptor)).makefile("rw", encoding="utf-8")
    try:
        given = json.loads(settings)
        found = simple_evaluate(
            model=Remote(wire),
            tasks=given["tasks"],
            limit=given["limit"],
            batch_size=1,
            log_samples=False,
            bootstrap_iters=0,
            task_manager=TaskManager("ERROR", include_path=given["include"]),
        )
        plain = json.loads(json.dumps(found["results"], default=str))
        _send(wire, {"results": plain})
    except Exception as error:
        _send(wire, {"error": f"{type(error).__name__}: {error}"})
        raise


if __name__ == "__main__":
    main(*sys.argv[1:])
