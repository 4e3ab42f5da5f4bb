"""What is made, or granted, on PostgreSQL in the name of another role."""

from vector_pipeline.provision import rights
from vector_pipeline.provision.access import quoted, reader_grants, reader_tables
from vector_pipeline.provision.postgres import Login, value
from vector_pipeline.provision.stores import Store


def make_owned(hand: Login, login: Login, statement: str, database: str | None = None) -> None:
    """A statement that makes something for another role: who is no superuser must be a member of it."""
    with hand.connect("postgres" if database is None else database) as connection:
        # Since PostgreSQL 16 who made a role administers it, and may still not act as it.
        right = "SET" if connection.info.server_version >= 160000 else "MEMBER"
        member = value(connection, "SELECT pg_has_role(current_user, %s, %s)", login.user, right)
    if not member:
        hand.run(f"GRANT {quoted(login.user)} TO CURRENT_USER", database or "postgres")
    hand.run(statement, database or "postgres")


def let_read(hand: Login, store: Store, reader: str) -> None:
    """As the writer: what it owns it may grant. What it may not, on a database of somebody else's, the administrator grants."""
    login, schema = store.login, store.schema
    connect, usage, _, to_come = reader_grants(login.database, schema, login.user, reader)
    # What is to come first: a table that is made meanwhile is in the one or in the other.
    for statement in (to_come, connect, usage):
        login.run(statement)
    with login.connect() as connection:
        # By name: in a schema that others use too, "all tables" are not the writer's to grant.
        tables = rights.unread(connection, login.user, schema, reader)
        entered = not {"CONNECT", f"USAGE on {schema}"} & set(rights.lacks(connection, login.user, schema, reader))
    if tables:
        login.run(reader_tables(schema, tables, reader))
    if not entered and hand is not login:
        for statement in (connect, usage):
            hand.run(statement, login.database)
