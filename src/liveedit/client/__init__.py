"""Ask and correct a server that ``liveedit serve`` runs, from anywhere."""

from liveedit.errors import MissingExtra

try:
    from liveedit.client.answers import Answer, EditPage, Imported, Revision, ServedEdit
    from liveedit.client.asynchronous import AsyncClient
    from liveedit.client.synchronous import Client
except ModuleNotFoundError as error:
    if error.name != "httpx":
        raise
    raise MissingExtra("httpx", extra="client") from None

__all__ = ["Answer", "AsyncClient", "Client", "EditPage", "Imported", "Revision", "ServedEdit"]
