"""The server's own model and server."""

from tests.serve.conftest import address, model

__all__ = ["address", "model"]
