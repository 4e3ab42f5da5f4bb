"""Roles, databases, extensions, schemas and grants on PostgreSQL: looked at, and made.

Laws
----
1. The writer is the user of a store's own URL; it owns what is made. The reader is `provision.reader`.
2. What an administrator is needed for is done by `provision.admin` where it is of the same server, else by the store's own user, as
   far as it may: what it may not is said in the plan, with the statement that an administrator runs.
3. Of a role that is there nothing is changed: no password, no right to log in.
4. A reader that could write is in the way: nothing is granted to it before that is settled.
5. Who is not let in has seen nothing: that a store is missing is said of what was looked at alone. A wrong password opens no seal.
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import partial

from vector_pipeline.config import EnvironmentConfig
from vector_pipeline.provision import rights
from vector_pipeline.provision.access import quoted
from vector_pipeline.provision.granting import let_read, make_owned
from vector_pipeline.provision.postgres import Connection, Login, NoDatabaseError, NoEntryError, value
from vector_pipeline.provision.stores import PUBLIC, Store, stores_of
from vector_pipeline.provision.things import Action, Thing

_FIRST_TABLES = {"lake": "ducklake_metadata", "registry": "vp_versions"}
_ADMIN = "name an administrator in `provision: {admin: …}`"


class Entry(StrEnum):
    """Whether a store can be looked into."""

    OPEN = "open"
    MISSING = "missing"
    """It was seen that there is nothing: no database, or one without such tables and no such role."""
    SHUT = "shut"
    """This user is not let in, and what is behind the door nobody has seen."""


class Databases:
    """What the stores of an environment need of PostgreSQL."""

    def __init__(self, settings: EnvironmentConfig) -> None:
        self._settings = settings.provision
        self._stores = stores_of(settings)
        self._admin = Login(settings.provision.admin) if settings.provision.admin is not None else None

    def things(self) -> Iterator[Thing]:
        """In the order in which they are made."""
        seen: set[object] = set()
        for store in self._stores:
            for thing in self._things(store):
                if (thing.kind, thing.name) not in seen:
                    seen.add((thing.kind, thing.name))
                    yield thing

    def entry(self, what: str) -> Entry:
        """Of a store (``lake``, ``registry``); ``OPEN`` also where it is not in PostgreSQL. Law 5."""
        store = next((one for one in self._stores if one.what == what), None)
        if store is None:
            return Entry.OPEN
        try:
            with store.login.connect():
                return Entry.OPEN
        except NoDatabaseError:
            return Entry.MISSING
        except NoEntryError:
            hand = self._hand(store)
        if hand is store.login:
            return Entry.SHUT
        eye = hand.eye(store.login.database)
        with hand.connect(eye) as connection:
            if rights.is_role(connection, store.login.user):
                return Entry.SHUT
            table = f"{quoted(PUBLIC)}.{quoted(_FIRST_TABLES[what])}"
            made = eye == store.login.database and value(connection, "SELECT to_regclass(%s) IS NOT NULL", table)
            return Entry.SHUT if made else Entry.MISSING

    def _hand(self, store: Store) -> Login:
        """Law 2: who makes what the writer may not."""
        same = self._admin is not None and self._admin.server == store.login.server
        return self._admin if same and self._admin is not None else store.login

    def _things(self, store: Store) -> Iterator[Thing]:
        hand, login = self._hand(store), store.login
        try:
            eye = hand.eye(login.database)
        except NoEntryError as error:
            fix = f"As an administrator: CREATE ROLE {quoted(login.user)} LOGIN PASSWORD '…'; or {_ADMIN}"
            if hand is not login:
                fix = error.fix or ""
            yield Thing("postgresql role", _at(login, login.user), Action.DIFFERS, note=error.what, fix=fix)
            return
        here = eye == login.database
        with hand.connect(eye) as connection:
            if hand is not login:
                yield self._role(connection, hand, login, login.user, login.password)
            yield self._database(connection, hand, store)
            if here:
                yield from self._rights(connection, hand, store)
            if store.vectors:
                yield self._extension(connection, hand, store, here=here)
                yield self._schema(connection, hand, store, here=here)
            if self._settings.reader is not None:
                given = self._settings.reader_password
                yield self._role(
                    connection, hand, login, self._settings.reader, lambda: given.resolve() if given else None
                )
                yield self._reading(connection, store, self._settings.reader, here=here)

    def _role(self, connection: Connection, hand: Login, login: Login, role: str, password: object) -> Thing:
        name, facts = _at(login, role), (("login", "yes"),)
        if rights.is_role(connection, role):
            note, fix = rights.kept_out(connection, login, role)
            return Thing("postgresql role", name, Action.DIFFERS if note else Action.EXISTS, facts, note, fix)
        if not rights.may(connection, "rolcreaterole"):
            fix = f"As an administrator: CREATE ROLE {quoted(role)} LOGIN; or {_ADMIN}"
            return Thing("postgresql role", name, Action.DIFFERS, facts, f"{hand.user} may not make roles", fix)

        def make() -> None:
            found = password() if callable(password) else password
            hand.make_role(role, None if found is None else str(found))

        return Thing("postgresql role", name, Action.CREATE, facts, make=make)

    def _database(self, connection: Connection, hand: Login, store: Store) -> Thing:
        login = store.login
        name, facts = login.where, (("owner", login.user), ("encoding", "UTF8"))
        found = connection.execute(
            "SELECT pg_encoding_to_char(encoding), pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s",
            (login.database,),
        ).fetchone()
        encoding, owner = found or (None, login.user)
        if owner != login.user:
            # No harm where the writer may make tables in it, which is a thing of its own.
            facts = (("owner", owner), ("encoding", "UTF8"))
        if encoding is not None and encoding != "UTF8":
            fix = "Name another database: this one cannot be changed"
            return Thing("postgresql database", name, Action.DIFFERS, facts, f"its encoding is {encoding}", fix)
        if encoding is not None:
            note = f"its owner is {owner}, and stays" if owner != login.user else ""
            return Thing("postgresql database", name, Action.EXISTS, facts, note)
        statement = (
            f"CREATE DATABASE {quoted(login.database)} OWNER {quoted(login.user)} ENCODING 'UTF8' TEMPLATE template0"
        )
        if not rights.may(connection, "rolcreatedb"):
            note, fix = f"{hand.user} may not make databases", f"As an administrator: {statement}; or {_ADMIN}"
            return Thing("postgresql database", name, Action.DIFFERS, facts, note, fix)
        return Thing(
            "postgresql database", name, Action.CREATE, facts, make=partial(make_owned, hand, login, statement)
        )

    def _rights(self, connection: Connection, hand: Login, store: Store) -> Iterator[Thing]:
        """Whether the writer may make tables where they belong."""
        login, schema = store.login, store.schema
        if schema != PUBLIC:
            return
        facts = (("schema", schema), ("rights", "USAGE, CREATE"))
        name = f"{login.user} writes {login.where} {schema}"
        there = rights.is_role(connection, login.user)
        if there and rights.may_make_tables(connection, login.user, schema):
            yield Thing("postgresql grants", name, Action.EXISTS, facts)
            return
        statement = f"GRANT USAGE, CREATE ON SCHEMA {quoted(schema)} TO {quoted(login.user)}"
        if hand is login or not rights.may_grant(connection, schema):
            note = f"{login.user} may not make tables there" + (
                "" if hand is login else f", nor may {hand.user} allow it"
            )
            yield Thing(
                "postgresql grants", name, Action.DIFFERS, facts, note, f"As its owner: {statement}; or {_ADMIN}"
            )
            return
        action = Action.CHANGE if there else Action.CREATE
        yield Thing("postgresql grants", name, action, facts, make=partial(hand.run, statement, login.database))

    def _extension(self, connection: Connection, hand: Login, store: Store, *, here: bool) -> Thing:
        name, facts = f"vector in {store.login.where}", (("schema", PUBLIC),)
        if here and value(connection, "SELECT 1 FROM pg_extension WHERE extname = 'vector'"):
            return Thing("postgresql extension", name, Action.EXISTS, facts)
        if not value(connection, "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"):
            fix = "Install pgvector on the server: github.com/pgvector/pgvector"
            return Thing("postgresql extension", name, Action.DIFFERS, facts, "the server has no pgvector", fix)
        statement = "CREATE EXTENSION IF NOT EXISTS vector SCHEMA public"
        if hand is store.login and not rights.may(connection, "false") and not rights.trusted(connection):
            note, fix = (
                f"{hand.user} may not make it",
                f"As a superuser, in {store.login.database}: {statement}; or {_ADMIN}",
            )
            return Thing("postgresql extension", name, Action.DIFFERS, facts, note, fix)
        make = partial(hand.run, statement, store.login.database)
        return Thing("postgresql extension", name, Action.CREATE, facts, make=make)

    def _schema(self, connection: Connection, hand: Login, store: Store, *, here: bool) -> Thing:
        login, schema = store.login, store.schema
        name, facts = f"{login.where} {schema}", (("owner", login.user),)
        owner = here and value(
            connection, "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = %s", schema
        )
        role = rights.is_role(connection, login.user)
        if owner and role and rights.may_make_tables(connection, login.user, schema):
            return Thing("postgresql schema", name, Action.EXISTS, facts)
        if owner:
            fix = f"As {owner}: GRANT USAGE, CREATE ON SCHEMA {quoted(schema)} TO {quoted(login.user)}"
            note = f"it is {owner}'s: {login.user} may not make tables there"
            return Thing("postgresql schema", name, Action.DIFFERS, facts, note, fix)
        statement = f"CREATE SCHEMA {quoted(schema)} AUTHORIZATION {quoted(login.user)}"
        if here and not rights.may_make_schemas(connection, login.user):
            note, fix = (
                f"{hand.user} may not make it",
                f"As an administrator, in {login.database}: {statement}; or {_ADMIN}",
            )
            return Thing("postgresql schema", name, Action.DIFFERS, facts, note, fix)
        return Thing(
            "postgresql schema",
            name,
            Action.CREATE,
            facts,
            make=partial(make_owned, hand, login, statement, login.database),
        )

    def _reading(self, connection: Connection, store: Store, reader: str, *, here: bool) -> Thing:
        """What the reader may, in one schema of one database."""
        login, schema = store.login, store.schema
        # Who writes is in the name: default privileges are those of who makes the tables, also where two share a schema.
        name, facts = (
            f"{reader} reads what {login.user} makes in {login.where} {schema}",
            (("schema", "USAGE"), ("tables", "SELECT, also those to come")),
        )
        if wrong := rights.is_no_reader(connection, reader, login.user):
            return Thing("postgresql grants", name, Action.DIFFERS, facts, f"{reader} {wrong[0]}", wrong[1])
        make = partial(let_read, self._hand(store), store, reader)
        there = here and rights.is_role(connection, reader) and rights.is_role(connection, login.user)
        if not there or not value(connection, "SELECT 1 FROM pg_namespace WHERE nspname = %s", schema):
            return Thing("postgresql grants", name, Action.CREATE, facts, make=make)
        if wrong := rights.excess(connection, schema, reader):
            return Thing("postgresql grants", name, Action.DIFFERS, facts, f"{reader} {wrong[0]}", wrong[1])
        lacks = rights.lacks(connection, login.user, schema, reader)
        action = Action.CHANGE if lacks else Action.EXISTS
        return Thing("postgresql grants", name, action, facts, f"lacks {', '.join(lacks)}" if lacks else "", make=make)


def _at(login: Login, role: str) -> str:
    host, port = login.server
    return f"{role} at {host}:{port}"
