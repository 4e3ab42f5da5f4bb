"""Which stores of an environment are in PostgreSQL, and where."""

from dataclasses import dataclass

from vector_pipeline.config import EnvironmentConfig, PgvectorTargetConfig, SecretTemplate
from vector_pipeline.provision.postgres import Login

PUBLIC = "public"


@dataclass(frozen=True)
class Store:
    """One use of a database: the lake's catalog, the registry, a target."""

    what: str
    login: Login
    schema: str = PUBLIC
    vectors: bool = False


def stores_of(settings: EnvironmentConfig) -> list[Store]:
    """Every store of an environment that is in PostgreSQL."""
    named: list[tuple[str, SecretTemplate, str, bool]] = [
        ("lake", settings.lake.catalog, PUBLIC, False),
        ("registry", settings.registry, PUBLIC, False),
    ]
    named += [
        (f"target {name}", target.url, target.db_schema, True)
        for name, target in settings.targets.items() if isinstance(target, PgvectorTargetConfig)
    ]  # fmt: skip
    return [Store(what, Login(url), schema, vectors) for what, url, schema, vectors in named if _is_postgres(url)]


def _is_postgres(url: SecretTemplate) -> bool:
    # A whole URL by reference shows its kind only when it is resolved.
    text = url if "://" in url else url.resolve_url()
    return text.startswith(("postgres://", "postgresql"))
