"""The real PostgreSQL that the registry's tests use too."""

from tests.registry.conftest import postgres, postgres_url

__all__ = ["postgres", "postgres_url"]
