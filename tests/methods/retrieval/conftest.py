from tests.store.conftest import postgresql, postgresql_server
from tests.store.test_sql import location

__all__ = ["location", "postgresql", "postgresql_server"]
