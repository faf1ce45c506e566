"""What the tiny task does with a document; runs in lmms-eval's environment."""

from PIL import Image


def picture(document):
    """A plain picture, or none."""
    colour = document["colour"]
    return [Image.new("RGB", (40, 30), colour)] if colour else []


def score(document, results):
    """Whether the answer is the expected one."""
    return {"same": float(results[0].strip() == document["answer"].strip())}
