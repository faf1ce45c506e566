"""The PostgreSQL server of the store's tests."""

from tests.store.conftest import postgresql, postgresql_server

__all__ = ["postgresql", "postgresql_server"]
