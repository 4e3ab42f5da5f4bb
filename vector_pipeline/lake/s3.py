"""The lake's data on S3: the secret that DuckDB's httpfs signs with, and what its errors mean.

Laws
----
1. The secret is for the lake's own prefix, in memory, and of one connection: none is read from the home folder or written to it.
2. Endpoint, region and credentials are those that boto3 finds (``corpus.s3_access``), so that sources and lake cannot differ.
3. Credentials that end are renewed before a statement, never within one.
4. A key stands in no message: DuckDB's errors name addresses only, and what creating a secret says is not passed on.
"""

import os
import tempfile
import threading
from pathlib import Path

import duckdb

from vector_pipeline.config import LakeConfig
from vector_pipeline.corpus.record_sql import file_name, quoted
from vector_pipeline.corpus.s3_access import Keys, S3Access
from vector_pipeline.errors import ConfigError, UnavailableError, VectorPipelineError

SECRET = "vector_pipeline_lake"
_FIXES = (
    (("nosuchbucket", "bucket does not exist"), ConfigError, "Make the bucket, or correct `lake.data`"),
    (
        ("invalidaccesskeyid", "signaturedoesnotmatch", "expiredtoken", "invalidtoken"),
        ConfigError,
        "Check the credentials: AWS_* or `lake.s3`",
    ),
    (
        ("http 403", "403 (forbidden)", "code 403", "accessdenied"),
        ConfigError,
        "Allow it to this user or role, see docs/s3-and-postgresql.md",
    ),
    (
        ("http 301", "301 (moved permanently)", "code 301", "permanentredirect", "authorizationheadermalformed"),
        ConfigError,
        "Set `lake.s3.region`: the bucket is in another one",
    ),
    (
        ("http 404", "404 (not found)", "code 404"),
        UnavailableError,
        "Make the bucket of `lake.data`. If it is there, this data file is gone: restore it",
    ),
    (("could not resolve hostname",), UnavailableError, "Check `lake.s3.endpoint` and the network"),
    (
        ("could not connect", "timeout", "http 5"),
        UnavailableError,
        "Check the network and the endpoint, then try again",
    ),
)


class S3Secret:
    """What a lake's connection signs its requests with."""

    def __init__(self, config: LakeConfig, scope: str) -> None:
        self.access = S3Access(config.s3)
        """The same for what goes past DuckDB."""
        self._scope = scope
        self._lock = threading.Lock()
        self._keys: Keys | None = None
        self._temporary = False

    def begin(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the secret: once for a connection, before the lake is attached."""
        where = f"lake {self._scope}"
        self._place = self.access.place(where)
        self._keys = self.access.keys(where)
        self._temporary = self.access.temporary
        # Not `allow_persistent_secrets`: the extension for PostgreSQL looks for their storage, and fails where there is none.
        connection.execute(
            f"SET secret_directory = {quoted(str(Path(tempfile.gettempdir()) / 'vector-pipeline-no-secrets'))}"
        )
        bundle = os.environ.get("AWS_CA_BUNDLE")
        if bundle:
            connection.execute(f"SET ca_cert_file = {quoted(bundle)}")
        self._create(connection)

    def renew(self, root: duckdb.DuckDBPyConnection) -> None:
        """Law 3. Costs nothing where credentials do not end by themselves."""
        if not self._temporary:
            return
        with self._lock:
            keys = self.access.keys(f"lake {self._scope}")
            if keys == self._keys:
                return
            self._keys = keys
            # A cursor of its own: the thread's may be within a transaction.
            cursor = root.cursor()
            try:
                self._create(cursor)
            finally:
                cursor.close()

    def _create(self, connection: duckdb.DuckDBPyConnection) -> None:
        endpoint, region, by_path = self._place
        keys = self._keys
        values = {"REGION": region, "URL_STYLE": "path" if by_path else "vhost"}
        if endpoint is not None:
            values["ENDPOINT"] = endpoint.host
        if keys is not None:
            values |= {"KEY_ID": keys.access_key_id, "SECRET": keys.secret_access_key}
            values |= {"SESSION_TOKEN": keys.session_token} if keys.session_token else {}
        options = ", ".join(f"{name} ?" for name in values)
        # Where files are looked for, a prefix with a bracket in it is spelled as a pattern of itself (``files_below``).
        scope = ", ".join(dict.fromkeys((quoted(self._scope), file_name(self._scope))))
        ssl = str(endpoint is None or endpoint.use_ssl).lower()
        try:
            connection.execute(
                f"CREATE OR REPLACE TEMPORARY SECRET {SECRET} (TYPE s3, SCOPE [{scope}], USE_SSL {ssl}, {options})",
                list(values.values()),
            )
        except duckdb.Error as error:
            raise UnavailableError(f"lake {self._scope}: DuckDB takes no secret ({type(error).__name__})") from None


def explained(where: str, line: str) -> VectorPipelineError | None:
    """Our error for what DuckDB says of a request to S3; None where it speaks of something else."""
    text = line.lower()
    if not any(mark in text for mark in ("http", "s3://", "<code>")):
        return None
    for marks, kind, fix in _FIXES:
        if any(mark in text for mark in marks):
            return kind(f"{where}: {line}", fix=fix)
    return None
