"""Who may read: readers have a user of their own, and every line of versions is a table of its own, made after they were let in.

Laws
----
1. Nobody is let in by us: whoever may read one line need not be meant to read the next.
2. A user who may read the catalogue but not a new line is named when the line is made, before anything points at it.
"""

import logging

from psycopg import sql

from vector_pipeline.targets.pgvector.engine import Engine, Session

_LOG = logging.getLogger(__name__)


def locked_out(session: Session, schema: str, table: str | None) -> list[str]:
    """Users and groups who may read the catalogue of namespaces, but not ``table``; ``PUBLIC`` for everybody."""
    rows = session.rows(
        sql.SQL(
            """SELECT DISTINCT CASE allowed.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(allowed.grantee) END::text
               FROM pg_class known JOIN pg_namespace n ON n.oid = known.relnamespace
               JOIN pg_class made ON made.relnamespace = n.oid AND made.relname = %(table)s,
               aclexplode(known.relacl) AS allowed
               WHERE n.nspname = %(schema)s AND known.relname = 'namespaces' AND allowed.privilege_type = 'SELECT'
                 AND CASE allowed.grantee
                     WHEN 0 THEN NOT EXISTS (
                         SELECT FROM aclexplode(made.relacl) AS now WHERE now.grantee = 0 AND now.privilege_type = 'SELECT')
                     ELSE NOT has_table_privilege(allowed.grantee, made.oid, 'SELECT') END
               ORDER BY 1"""
        ),
        {"schema": schema, "table": table},
    )
    return [str(row[0]) for row in rows]


def say_locked_out(engine: Engine, namespace: str, readers: list[str]) -> None:
    for reader in readers:
        _LOG.warning(
            "%s: %s may read the catalogue, but not namespace %s, which is new. As its owner: %s",
            engine.border,
            reader,
            namespace,
            engine.pool.letting_in(engine.pool.user, reader),
        )
