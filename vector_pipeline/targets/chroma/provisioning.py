"""Tenant and database of a Chroma, for provisioning: looked for, and made where they are not."""

from pathlib import Path
from typing import Any

from vector_pipeline.config import ChromaTargetConfig
from vector_pipeline.errors import ConflictError, NotFoundError
from vector_pipeline.targets.chroma.connection import At, Connection
from vector_pipeline.targets.chroma.embedded import Embedded
from vector_pipeline.targets.chroma.failures import Failures
from vector_pipeline.targets.chroma.served import Served


class PlaceProvisioning:
    """The place of one target's collections. Close it when done."""

    def __init__(self, name: str, config: ChromaTargetConfig, base: Path) -> None:
        self.config = config
        failures = Failures(name, config)
        at = At(tenant=config.tenant, database=config.database)
        self._connection: Connection = (
            Embedded(name, base / config.path, failures, at)
            if config.path is not None
            else Served(name, config, failures)
        )

    def folder_there(self) -> bool:
        """Whether a folder holds a Chroma; a server is there, or what follows says that it is not."""
        return self._connection.exists()

    def tenant_there(self) -> bool:
        return self._found(lambda api: api.get_tenant(name=self.config.tenant))

    def database_there(self) -> bool:
        return self._found(lambda api: api.get_database(self.config.database, tenant=self.config.tenant))

    def make(self) -> None:
        """Tenant and database. One that another process made meanwhile is as good."""
        if not self.tenant_there():
            self._made(lambda api: api.create_tenant(name=self.config.tenant))
        if not self.database_there():
            self._made(lambda api: api.create_database(self.config.database, tenant=self.config.tenant))

    def close(self) -> None:
        self._connection.close()

    def _found(self, look: Any) -> bool:
        try:
            self._connection.asked(look)
        except NotFoundError:
            return False
        return True

    def _made(self, make: Any) -> None:
        try:
            self._connection.asked(make, write=True)
        except ConflictError:
            return
