"""Who may do what: what a writer and a reader need. Provisioning grants it, Terraform and Pulumi are held to it.

Laws
----
1. A reader reads: nothing here lets it change a row, an object or a table, now or later.
2. A reader reads what is made later too: the lake and every new line of versions make tables.
3. A writer owns its databases, and on S3 writes below its own prefixes only.
"""

from typing import Any

WRITES = ("s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload")
READS = ("s3:GetObject",)
KEY_READS = ("kms:Decrypt",)
KEY_WRITES = ("kms:Decrypt", "kms:GenerateDataKey")
LISTS = "s3:ListBucket"
READER_TABLES = ("SELECT",)
READER_SCHEMA = ("USAGE",)
READER_DATABASE = ("CONNECT",)
WRITING_RIGHTS = ("INSERT", "UPDATE", "DELETE", "TRUNCATE")
"""Whoever has one of these on a table of ours is no reader."""


def quoted(name: str) -> str:
    """A name as PostgreSQL's identifier."""
    return '"' + name.replace('"', '""') + '"'


def reader_grants(database: str, schema: str, owner: str, reader: str) -> tuple[str, ...]:
    """Statements of the owner that let ``reader`` read a schema of its database: what there is, and what will be made (law 2)."""
    to = quoted(reader)
    return (
        f"GRANT {', '.join(READER_DATABASE)} ON DATABASE {quoted(database)} TO {to}",
        f"GRANT {', '.join(READER_SCHEMA)} ON SCHEMA {quoted(schema)} TO {to}",
        f"GRANT {', '.join(READER_TABLES)} ON ALL TABLES IN SCHEMA {quoted(schema)} TO {to}",
        f"ALTER DEFAULT PRIVILEGES FOR ROLE {quoted(owner)} IN SCHEMA {quoted(schema)}"
        f" GRANT {', '.join(READER_TABLES)} ON TABLES TO {to}",
    )


def reader_tables(schema: str, tables: list[str], reader: str) -> str:
    """The statement of the owner that lets ``reader`` read these tables (one or more), and no other's."""
    named = ", ".join(f"{quoted(schema)}.{quoted(one)}" for one in tables)
    return f"GRANT {', '.join(READER_TABLES)} ON TABLE {named} TO {quoted(reader)}"


def writer_policy(
    bucket: str, written: tuple[str, ...], read: tuple[str, ...] = (), key: str | None = None
) -> dict[str, Any]:
    """S3's policy of who builds: writes below ``written`` prefixes, reads documents below ``read`` ones, uses ``key`` of KMS."""
    statements = [_listing(bucket)]
    if read:
        statements.append(_statement("ReadDocuments", READS, bucket, read))
    statements.append(_statement("WriteLakeAndLogs", WRITES, bucket, written))
    return {"Version": "2012-10-17", "Statement": [*statements, *_key(KEY_WRITES, key)]}


def reader_policy(bucket: str, lake: str, key: str | None = None) -> dict[str, Any]:
    """S3's policy of who asks the lake."""
    statements = [_listing(bucket), _statement("ReadLake", READS, bucket, (lake,)), *_key(KEY_READS, key)]
    return {"Version": "2012-10-17", "Statement": statements}


def _key(actions: tuple[str, ...], key: str | None) -> list[dict[str, Any]]:
    if key is None:
        return []
    action = actions[0] if len(actions) == 1 else list(actions)
    resource = key if key.startswith("arn:") else f"arn:aws:kms:*:*:key/{key}"
    return [{"Sid": "UseKey", "Effect": "Allow", "Action": action, "Resource": resource}]


def _listing(bucket: str) -> dict[str, Any]:
    return {"Sid": "List", "Effect": "Allow", "Action": LISTS, "Resource": f"arn:aws:s3:::{bucket}"}


def _statement(sid: str, actions: tuple[str, ...], bucket: str, prefixes: tuple[str, ...]) -> dict[str, Any]:
    resources = [
        f"arn:aws:s3:::{bucket}/{prefix.strip('/')}/*" if prefix else f"arn:aws:s3:::{bucket}/*" for prefix in prefixes
    ]
    return {
        "Sid": sid, "Effect": "Allow", "Action": actions[0] if len(actions) == 1 else list(actions),
        "Resource": resources[0] if len(resources) == 1 else resources,
    }  # fmt: skip
