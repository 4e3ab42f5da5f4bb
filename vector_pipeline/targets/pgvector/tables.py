"""What is made in the database: the extension, the schema, the catalogue, a table a namespace. Names and limits of them."""

import hashlib
import re

import psycopg
from psycopg import sql

from vector_pipeline.errors import ConfigError, RefusedError
from vector_pipeline.targets.base import LIVE, NamespaceSpec
from vector_pipeline.targets.pgvector.engine import Engine, Session

MAX_DIMENSION = 16_000
"""Of pgvector's type ``vector``."""
MAX_INDEXED = 2_000
"""Dimensions that an HNSW index over ``vector`` takes."""
_ROOMY = 80
"""Fill factor with HNSW: room in each page lets a closed record stay where it is, and its index entry too."""


def prepare(engine: Engine) -> None:
    """Extension, schema and catalogue: made where they are not. ``ConfigError`` says what may not be made."""
    schema = engine.config.db_schema
    if engine.read(lambda session: has_catalog(session, schema)) and engine.pool.extension is not None:
        return
    engine.write(lambda session: _prepare(session, engine))
    engine.pool.forget()


def has_catalog(session: Session, schema: str) -> bool:
    found = session.row(sql.SQL("SELECT to_regclass({} || '.namespaces') IS NOT NULL").format(quoted(schema)))
    return found is not None and bool(found[0])


def quoted(schema: str) -> sql.Literal:
    """The schema's name, for ``to_regclass``. The configuration allows nothing in it that would need more than quotes."""
    return sql.Literal(f'"{schema}"')


def _prepare(session: Session, engine: Engine) -> None:
    schema = engine.config.db_schema
    session.run(sql.SQL("SELECT pg_advisory_xact_lock(hashtext('vector_pipeline'))"))
    if not session.rows(sql.SQL("SELECT FROM pg_extension WHERE extname = 'vector'")):
        where = _shared_schema(session, engine)
        _make(session, engine, sql.SQL("CREATE EXTENSION vector SCHEMA {}").format(where), "extension vector")
    if not session.rows(sql.SQL("SELECT FROM pg_namespace WHERE nspname = {}").format(sql.Literal(schema))):
        _make(session, engine, sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)), f"schema {schema}")
    if not has_catalog(session, schema):
        session.run(_catalog_ddl(schema))


def _shared_schema(session: Session, engine: Engine) -> sql.Identifier:
    """Where pgvector's types are found by every program of the database. Never in our own schema, which somebody may drop."""
    if session.rows(sql.SQL("SELECT FROM pg_namespace WHERE nspname = 'public'")):
        return sql.Identifier("public")
    shared = sql.Identifier("extensions" if engine.config.db_schema != "extensions" else "vector")
    create = sql.SQL("CREATE SCHEMA IF NOT EXISTS {0}; GRANT USAGE ON SCHEMA {0} TO PUBLIC").format(shared)
    _make(session, engine, create, f"schema {shared.as_string(session.connection)}")
    return shared


def _make(session: Session, engine: Engine, create: sql.SQL | sql.Composed, what: str) -> None:
    try:
        session.run(create)
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigError(
            f"{engine.border}: this user may not make the {what}",
            fix=f"As its owner or a superuser: {create.as_string(session.connection)}",
        ) from error
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile) as error:
        raise ConfigError(
            f"{engine.border}: PostgreSQL there has no {what}",
            fix="Install pgvector on the server: github.com/pgvector/pgvector",
        ) from error


def check_supported(spec: NamespaceSpec, engine: Engine) -> None:
    """``RefusedError`` in one line where pgvector cannot hold or index such vectors."""
    if spec.dimension > MAX_DIMENSION:
        raise RefusedError(
            f"namespace {spec.name} needs {spec.dimension} dimensions: pgvector holds at most {MAX_DIMENSION}",
            fix="Use an embedder with fewer",
        )
    if engine.config.hnsw and spec.dimension > MAX_INDEXED:
        raise RefusedError(
            f"namespace {spec.name} has {spec.dimension} dimensions: pgvector's HNSW takes at most {MAX_INDEXED}",
            fix=f"Set `hnsw: false` for target {engine.name} (exact search), or use an embedder with fewer",
        )


def table_name(namespace: str) -> str:
    """Of the records: a name that a person recognises, and a digest that makes it unique, in PostgreSQL's 63 bytes."""
    readable = re.sub(r"[^a-z0-9]+", "_", namespace.lower()).strip("_")[:44]
    return f"r_{readable}_{hashlib.sha256(namespace.encode()).hexdigest()[:12]}"


def records_ddl(schema: str, name: str, dimension: int, *, roomy: bool) -> sql.Composed:
    return sql.SQL(
        """CREATE TABLE {table} (
               id text COLLATE "C" PRIMARY KEY,
               vector vector({dimension}) NOT NULL,
               document_id text NOT NULL,
               content_hash text NOT NULL,
               metadata_hash text NOT NULL,
               space text NOT NULL,
               added_in bigint NOT NULL,
               removed_in bigint NOT NULL DEFAULT {live},
               text text,
               metadata jsonb NOT NULL DEFAULT '{{}}',
               exact text,
               exact_of bytea
           ) WITH (fillfactor = {fill});
           CREATE TRIGGER count_mark BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON {table}
               FOR EACH STATEMENT EXECUTE FUNCTION {schema}.count_mark();
           ALTER TABLE {table} ENABLE ALWAYS TRIGGER count_mark"""
    ).format(
        table=sql.Identifier(schema, name),
        schema=sql.Identifier(schema),
        dimension=sql.Literal(dimension),
        live=sql.Literal(LIVE),
        fill=sql.Literal(_ROOMY if roomy else 100),
    )


def _catalog_ddl(schema: str) -> sql.Composed:
    # SECURITY DEFINER: whoever may write records need not be allowed to write the catalogue.
    return sql.SQL(
        """CREATE TABLE {catalog} (
               name text COLLATE "C" PRIMARY KEY,
               table_name text UNIQUE,
               dimension integer NOT NULL,
               metric text NOT NULL,
               space text NOT NULL,
               mark bigint NOT NULL DEFAULT 0,
               nonce uuid NOT NULL DEFAULT gen_random_uuid(),
               fence bigint NOT NULL DEFAULT 0,
               records bigint,
               owner text NOT NULL DEFAULT ''
           );
           COMMENT ON TABLE {catalog} IS 'vector-pipeline: namespaces, format 1';
           CREATE FUNCTION {schema}.count_mark() RETURNS trigger LANGUAGE plpgsql
               SECURITY DEFINER SET search_path = pg_catalog AS $$
           BEGIN
               IF coalesce(current_setting('vector_pipeline.own', true), '') <> 'yes' THEN
                   UPDATE {catalog} SET mark = mark + 1, nonce = gen_random_uuid(), records = NULL WHERE table_name = TG_TABLE_NAME;
               END IF;
               RETURN NULL;
           END $$"""
    ).format(catalog=sql.Identifier(schema, "namespaces"), schema=sql.Identifier(schema))
