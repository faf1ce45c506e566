"""Pictures as pages carry them."""

from __future__ import annotations

import base64
import io

from PIL import Image


def data_url(image: Image.Image, longest: int) -> str:
    """A picture in the page itself, scaled down where its longer side passes so many pixels."""
    small = image.convert("RGB")
    small.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    encoded = io.BytesIO()
    small.save(encoded, format="WEBP", quality=82, method=4)
    return f"data:image/webp;base64,{base64.b64encode(encoded.getvalue()).decode('ascii')}"
