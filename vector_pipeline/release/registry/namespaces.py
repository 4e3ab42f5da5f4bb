"""What each namespace was after our last write to it: its mark and how many records it held.

A mark changes with every write to a namespace, whoever wrote. So one that differs from the recorded one tells that something else
wrote, without reading a record. It proves nothing the other way round: only comparing what the target holds does.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from vector_pipeline.release.registry.engine import Part
from vector_pipeline.release.registry.schema import namespaces as table


@dataclass(frozen=True, slots=True)
class NamespaceRecord:
    """A namespace after our last write."""

    environment: str
    target: str
    namespace: str
    dataset: str
    mark: str
    """The target's, after that write."""
    records: int
    """How many it held then, closed ones too."""
    updated_at: datetime


class Namespaces(Part):
    """The registry's view of namespaces."""

    def record_namespace(
        self, environment: str, target: str, namespace: str, *, dataset: str, mark: str, records: int
    ) -> NamespaceRecord:
        """Say what a namespace is now, after the last write of a push, repair, collection or erasure."""
        place = {"environment": environment, "target": target, "namespace": namespace}

        def work(connection: Connection) -> NamespaceRecord:
            self._db.serialise(connection, f"namespace:{environment}:{target}:{namespace}")
            state = {"dataset": dataset, "mark": mark, "records": records, "updated_at": self._db.now(connection)}
            if connection.execute(update(table).filter_by(**place).values(state)).rowcount == 0:
                connection.execute(insert(table).values(**place, **state))
            return NamespaceRecord(**connection.execute(select(table).filter_by(**place)).one()._mapping)

        return self._db.write(work)

    def namespace_record(self, environment: str, target: str, namespace: str) -> NamespaceRecord | None:
        """What a namespace was after our last write; None when we never finished one."""
        query = select(table).filter_by(environment=environment, target=target, namespace=namespace)
        row = self._db.read(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else NamespaceRecord(**row._mapping)

    def forget_namespace(self, environment: str, target: str, namespace: str) -> None:
        """Forget a namespace that was dropped, or whose state is not known any more. Forgetting twice is no error."""
        gone = delete(table).filter_by(environment=environment, target=target, namespace=namespace)
        self._db.write(lambda connection: connection.execute(gone).rowcount)
