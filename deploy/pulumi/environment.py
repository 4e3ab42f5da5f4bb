"""An environment of vector-pipeline: the same things, rights and outputs as deploy/terraform.

Laws
----
1. What holds data is protected: Pulumi refuses to delete it.
2. Rights are those of ``vector_pipeline.provision.access``; the project's tests compare them.
3. No password is in an output.
"""

import json
from typing import Any

import pinecone_pulumi as pinecone
import pulumi
import pulumi_aws as aws
import pulumi_postgresql as postgresql
from settings import Settings


class VectorEnvironment(pulumi.ComponentResource):
    """Indexes, bucket, databases, roles and policies of one environment."""

    def __init__(self, name: str, settings: Settings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("vector-pipeline:index:Environment", name, None, opts)
        self.settings = settings
        self._ours = pulumi.ResourceOptions(parent=self)
        self._kept = pulumi.ResourceOptions(parent=self, protect=True)
        self.indexes = {index: self._index(index) for index in settings.indexes}
        self.bucket: aws.s3.Bucket | None = self._bucket() if settings.bucket is not None else None
        self.policies: dict[str, aws.iam.Policy] = {}
        self.roles: dict[str, aws.iam.Role] = {}
        if settings.bucket is not None:
            self._access()
        if settings.database is not None:
            self._databases(settings.database)
        self.register_outputs(self.outputs())

    def outputs(self) -> dict[str, Any]:
        """By the names of the Terraform root's."""
        return {
            "variables": self._variables(self.settings.writer),
            "reader_variables": self._variables(self.settings.reader),
            "configuration": json.dumps({"environments": {self.settings.environment: self._section()}}, indent=2),
            "index_hosts": {name: one.host for name, one in self.indexes.items()},
            "bucket_arn": self.bucket.arn if self.bucket is not None else None,
            **{
                f"{who}_policy_arn": self.policies[who].arn if who in self.policies else None
                for who in ("writer", "reader")
            },
            **{f"{who}_role_arn": self.roles[who].arn if who in self.roles else None for who in ("writer", "reader")},
        }

    def writer_policy(self) -> dict[str, Any]:
        """S3's policy of who builds."""
        settings, statements = self.settings, [self._list()]
        if settings.documents_prefix is not None:
            statements.append(
                self._allow("ReadDocuments", "s3:GetObject", f"{self._arn}/{settings.documents_prefix}/*")
            )
        writes = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        prefixes = (settings.lake_prefix, settings.logs_prefix)
        statements.append(self._allow("WriteLakeAndLogs", writes, [f"{self._arn}/{one}/*" for one in prefixes]))
        return {"Version": "2012-10-17", "Statement": [*statements, *self._key("kms:Decrypt", "kms:GenerateDataKey")]}

    def reader_policy(self) -> dict[str, Any]:
        """S3's policy of who only reads."""
        read = self._allow("ReadLake", "s3:GetObject", f"{self._arn}/{self.settings.lake_prefix}/*")
        return {"Version": "2012-10-17", "Statement": [self._list(), read, *self._key("kms:Decrypt")]}

    def _key(self, *actions: str) -> list[dict[str, Any]]:
        """Who reads what a key of KMS encrypts needs the key too; who writes, also new keys of it."""
        key = self.settings.kms_key
        if key is None:
            return []
        resource = key if key.startswith("arn:") else f"arn:aws:kms:*:*:key/{key}"
        return [self._allow("UseKey", actions[0] if len(actions) == 1 else list(actions), resource)]

    @property
    def _arn(self) -> str:
        return f"arn:aws:s3:::{self.settings.bucket}"

    def _list(self) -> dict[str, Any]:
        return self._allow("List", "s3:ListBucket", self._arn)

    @staticmethod
    def _allow(sid: str, action: str | list[str], resource: str | list[str]) -> dict[str, Any]:
        return {"Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource}

    def _index(self, name: str) -> pinecone.Index:
        one = self.settings.indexes[name]
        return pinecone.Index(
            name,
            name=name,
            dimension=one.dimension,
            metric=one.metric,
            deletion_protection="enabled" if one.deletion_protection else "disabled",
            tags=dict(one.tags),
            spec=pinecone.IndexSpecArgs(
                serverless=pinecone.IndexSpecServerlessArgs(cloud=one.cloud, region=one.region)
            ),
            opts=self._kept,
        )

    def _bucket(self) -> aws.s3.Bucket:
        settings = self.settings
        bucket = aws.s3.Bucket("lake", bucket=settings.bucket, opts=self._kept)
        aws.s3.BucketPublicAccessBlock(
            "lake",
            bucket=bucket.id,
            block_public_acls=True,
            ignore_public_acls=True,
            block_public_policy=True,
            restrict_public_buckets=True,
            opts=self._ours,
        )
        default = aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
            sse_algorithm="AES256" if settings.kms_key is None else "aws:kms", kms_master_key_id=settings.kms_key
        )
        rule = aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(apply_server_side_encryption_by_default=default)
        aws.s3.BucketServerSideEncryptionConfiguration("lake", bucket=bucket.id, rules=[rule], opts=self._ours)
        status = "Enabled" if settings.versioning else "Suspended"
        versioning = aws.s3.BucketVersioning(
            "lake",
            bucket=bucket.id,
            versioning_configuration=aws.s3.BucketVersioningVersioningConfigurationArgs(status=status),
            opts=self._ours,
        )
        aws.s3.BucketLifecycleConfiguration(
            "lake",
            bucket=bucket.id,
            rules=[self._lifecycle()],
            opts=pulumi.ResourceOptions(parent=self, depends_on=[versioning]),
        )
        return bucket

    def _lifecycle(self) -> aws.s3.BucketLifecycleConfigurationRuleArgs:
        """Nothing deletes a present object by its age: which files are needed is what the catalog says."""
        settings = self.settings
        old = aws.s3.BucketLifecycleConfigurationRuleNoncurrentVersionExpirationArgs(
            noncurrent_days=settings.noncurrent_days
        )
        return aws.s3.BucketLifecycleConfigurationRuleArgs(
            id=f"vector-pipeline-{settings.lake_prefix}",
            status="Enabled",
            filter=aws.s3.BucketLifecycleConfigurationRuleFilterArgs(prefix=f"{settings.lake_prefix}/"),
            abort_incomplete_multipart_upload=aws.s3.BucketLifecycleConfigurationRuleAbortIncompleteMultipartUploadArgs(
                days_after_initiation=1
            ),
            noncurrent_version_expiration=old if settings.versioning else None,
        )

    def _access(self) -> None:
        settings = self.settings
        name = f"{settings.bucket}-{settings.environment.replace('_', '-')}"
        trusted = {"writer": settings.writer_principals, "reader": settings.reader_principals}
        policies = {"writer": self.writer_policy(), "reader": self.reader_policy()}
        for who, principals in trusted.items():
            self.policies[who] = aws.iam.Policy(
                who, name=f"{name}-{who}", policy=json.dumps(policies[who]), opts=self._ours
            )
            if not principals:
                continue
            trust = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": list(principals)}}
            assume = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
            self.roles[who] = aws.iam.Role(who, name=f"{name}-{who}", assume_role_policy=assume, opts=self._ours)
            aws.iam.RolePolicyAttachment(
                who, role=self.roles[who].name, policy_arn=self.policies[who].arn, opts=self._ours
            )

    def _databases(self, database: str) -> None:
        settings = self.settings
        # The administrator is PGUSER and PGPASSWORD.
        server = postgresql.Provider(
            "server",
            host=settings.postgres_host,
            port=settings.postgres_port,
            database="postgres",
            sslmode=settings.postgres_sslmode,
            superuser=settings.postgres_superuser,
            opts=self._ours,
        )
        self._there = pulumi.ResourceOptions(parent=self, provider=server)
        kept = pulumi.ResourceOptions(parent=self, provider=server, protect=True)
        writer = self._role("writer", settings.writer, settings.writer_password)
        vectors, *_ = (
            postgresql.Database(name, name=name, owner=writer.name, encoding="UTF8", template="template0", opts=kept)
            for name in (database, settings.dagster_database) if name is not None
        )  # fmt: skip
        if settings.vector_schemas:
            postgresql.Extension("vector", name="vector", database=vectors.name, schema="public", opts=self._there)
        schemas = [
            postgresql.Schema(one, name=one, database=vectors.name, owner=writer.name, opts=self._there)
            for one in settings.vector_schemas
        ]
        if settings.reader is not None:
            reader = self._role("reader", settings.reader, settings.reader_password)
            self._reading(vectors, schemas, writer, reader)

    def _role(self, who: str, name: str, password: "pulumi.Input[str] | None") -> postgresql.Role:
        return postgresql.Role(
            who,
            name=name,
            login=True,
            password_wo=password,
            password_wo_version=str(self.settings.password_version) if password is not None else None,
            opts=self._there,
        )

    def _reading(
        self,
        vectors: postgresql.Database,
        schemas: list[postgresql.Schema],
        writer: postgresql.Role,
        reader: postgresql.Role,
    ) -> None:
        """What a reader may; also what is made later: without that a release would lock its readers out."""
        opts = pulumi.ResourceOptions.merge(self._there, pulumi.ResourceOptions(depends_on=list(schemas)))
        said = {"role": reader.name, "database": vectors.name, "opts": opts}
        postgresql.Grant("reader_database", object_type="database", privileges=["CONNECT"], **said)
        for schema in ("public", *self.settings.vector_schemas):
            postgresql.Grant(
                f"reader_schema_{schema}", schema=schema, object_type="schema", privileges=["USAGE"], **said
            )
            postgresql.Grant(
                f"reader_tables_{schema}", schema=schema, object_type="table", privileges=["SELECT"], **said
            )
            postgresql.DefaultPrivileges(
                f"reader_tables_{schema}",
                schema=schema,
                owner=writer.name,
                object_type="table",
                privileges=["SELECT"],
                **said,
            )

    def _variables(self, user: str | None) -> dict[str, str]:
        settings, found = self.settings, {"VECTOR_PIPELINE_ENV": self.settings.environment}
        if settings.database is not None:
            found |= {
                "VECTORS_HOST": f"{settings.postgres_host}:{settings.postgres_port}",
                "VECTORS_DATABASE": settings.database,
            }
            found |= {"VECTORS_USER": user} if user is not None else {}
        if settings.bucket is not None:
            found |= {"AWS_REGION": settings.region, "DAGSTER_LOGS_BUCKET": settings.bucket}
        return found

    def _section(self) -> dict[str, Any]:
        """The environment's section of vector_pipeline.yaml. JSON is YAML."""
        settings, section = self.settings, dict[str, Any]()
        url = "postgresql://${env:VECTORS_USER}:${env:VECTORS_PASSWORD}@${env:VECTORS_HOST}/${env:VECTORS_DATABASE}"
        url += f"?sslmode={settings.postgres_sslmode}"
        if settings.database is not None:
            section |= {"registry": url, "lake": {"catalog": url}}
        if settings.bucket is not None:
            section.setdefault("lake", {})["data"] = f"s3://{settings.bucket}/{settings.lake_prefix}"
        section["targets"] = {}
        for name, one in settings.indexes.items():
            prefix = name.rpartition("-")[0] or name
            section["targets"][prefix.replace("-", "_")] = {
                "kind": "pinecone", "index": prefix, "cloud": one.cloud, "region": one.region,
                "deletion_protection": one.deletion_protection,
            }  # fmt: skip
        for schema in settings.vector_schemas:
            section["targets"][schema] = {"kind": "pgvector", "url": url, "db_schema": schema}
        if settings.reader is not None:
            section["provision"] = {"reader": settings.reader}
        return section
