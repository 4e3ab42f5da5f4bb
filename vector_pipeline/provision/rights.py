"""What PostgreSQL says of roles and their rights, in the database of a connection. Looks only.

Law: a reader that could write is none, whether or not there is a database yet (``is_no_reader``) and in each schema (``excess``).
"""

from vector_pipeline.provision.access import WRITING_RIGHTS, quoted
from vector_pipeline.provision.postgres import Connection, Login, NoDatabaseError, NoEntryError, value

_WRITES_ALL = "pg_write_all_data"
_READABLE = "('r', 'p', 'v', 'm', 'f')"


def is_role(connection: Connection, role: str) -> bool:
    """Whether there is such a role."""
    return bool(value(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role))


def may_log_in(connection: Connection, role: str) -> bool:
    """Whether a role that is there may log in."""
    return bool(value(connection, "SELECT rolcanlogin FROM pg_roles WHERE rolname = %s", role))


def kept_out(connection: Connection, login: Login, role: str) -> tuple[str, str]:
    """Why a role that is there does not get in, and what to do; empty where it does. A reader is not tried."""
    if not may_log_in(connection, role):
        return "it may not log in", f"As an administrator: ALTER ROLE {quoted(role)} LOGIN; or name another"
    if role != login.user:
        return "", ""
    try:
        with login.connect():
            return "", ""
    except NoDatabaseError:
        return "", ""
    except NoEntryError as error:
        return f"it is there, and is not let in: {error.what}", "Put its password into the URL: none is changed here"


def may_make_tables(connection: Connection, role: str, schema: str) -> bool:
    """Whether a role that is there has both rights: asked in one text, either would do."""
    query = "SELECT has_schema_privilege(%s, %s, 'CREATE') AND has_schema_privilege(%s, %s, 'USAGE')"
    return bool(value(connection, query, role, schema, role, schema))


def may_grant(connection: Connection, schema: str) -> bool:
    """Whether who asks may let others make tables: where not, PostgreSQL grants nothing and only warns."""
    query = "SELECT has_schema_privilege(%s, 'CREATE WITH GRANT OPTION') AND has_schema_privilege(%s, 'USAGE WITH GRANT OPTION')"
    return bool(value(connection, query, schema, schema))


def may_make_schemas(connection: Connection, writer: str) -> bool:
    """Whether who asks, or the writer whose member it becomes, may make schemas and trusted extensions in the database."""
    query = "SELECT bool_or(has_database_privilege(oid, current_database(), 'CREATE')) FROM pg_roles"
    return bool(value(connection, query + " WHERE rolname IN (current_user, %s)", writer))


def may(connection: Connection, attribute: str) -> bool:
    return bool(value(connection, f"SELECT rolsuper OR {attribute} FROM pg_roles WHERE rolname = current_user"))


def trusted(connection: Connection) -> bool:
    """Whether the owner of a database may make the extension, as most builds of pgvector do not say."""
    return bool(value(connection, "SELECT bool_or(trusted) FROM pg_available_extension_versions WHERE name = 'vector'"))


def is_no_reader(connection: Connection, reader: str, owner: str) -> tuple[str, str] | None:
    """Why a role writes wherever it is, and what to do; None also where it is not there yet."""
    if value(connection, "SELECT rolsuper FROM pg_roles WHERE rolname = %s", reader):
        return "is a superuser: it may write everything", "Name another `reader`"
    # Since PostgreSQL 14; it needs no table to be there.
    query = (
        "SELECT pg_has_role(r.oid, w.oid, 'MEMBER') FROM pg_roles r, pg_roles w WHERE r.rolname = %s AND w.rolname = %s"
    )
    if value(connection, query, reader, _WRITES_ALL):
        fix = f"REVOKE {_WRITES_ALL} FROM {quoted(reader)}, or name another `reader`"
        return f"is a member of {_WRITES_ALL}: it may write everything", fix
    both = reader != owner and is_role(connection, reader) and is_role(connection, owner)
    if reader == owner or (both and value(connection, "SELECT pg_has_role(%s, %s, 'MEMBER')", reader, owner)):
        fix = f"REVOKE {quoted(owner)} FROM {quoted(reader)}, or name another `reader`"
        return f"is, or is a member of, {owner}, who writes", fix
    return None


def excess(connection: Connection, schema: str, reader: str) -> tuple[str, str] | None:
    """Why a role that is there is no reader of a schema that is there, and what to do."""
    if value(connection, "SELECT has_schema_privilege(%s, %s, 'CREATE')", reader, schema):
        return f"may make tables in {schema}", f"REVOKE CREATE ON SCHEMA {quoted(schema)} FROM PUBLIC, {quoted(reader)}"
    writable = value(
        connection,
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s"
        " AND c.relkind IN ('r', 'p') AND has_table_privilege(%s, c.oid, %s)",
        schema, reader, ", ".join(WRITING_RIGHTS),
    )  # fmt: skip
    if writable:
        rights = ", ".join(WRITING_RIGHTS)
        return f"may write {writable} tables in {schema}", (
            f"REVOKE {rights} ON ALL TABLES IN SCHEMA {quoted(schema)} FROM {quoted(reader)}"
        )
    return None


def unread(connection: Connection, owner: str, schema: str, reader: str) -> list[str]:
    """Tables of ``owner`` that ``reader`` may not read. Those of others are not ours to grant."""
    rows = connection.execute(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s"
        f" AND c.relkind IN {_READABLE} AND pg_get_userbyid(c.relowner) = %s"
        " AND NOT has_table_privilege(%s, c.oid, 'SELECT') ORDER BY 1",
        (schema, owner, reader),
    )
    return [str(name) for (name,) in rows]


def lacks(connection: Connection, owner: str, schema: str, reader: str) -> list[str]:
    """Which of a reader's rights are not there."""
    default = value(
        connection,
        "SELECT 1 FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) a"
        " WHERE n.nspname = %s AND d.defaclobjtype = 'r' AND pg_get_userbyid(d.defaclrole) = %s"
        " AND pg_get_userbyid(a.grantee) = %s AND a.privilege_type = 'SELECT' LIMIT 1",
        schema, owner, reader,
    )  # fmt: skip
    tables = len(unread(connection, owner, schema, reader))
    checks = (
        ("CONNECT", value(connection, "SELECT has_database_privilege(%s, current_database(), 'CONNECT')", reader)),
        (f"USAGE on {schema}", value(connection, "SELECT has_schema_privilege(%s, %s, 'USAGE')", reader, schema)),
        (f"SELECT on {tables} tables", not tables),
        ("SELECT on tables to come", default),
    )
    return [what for what, held in checks if not held]
