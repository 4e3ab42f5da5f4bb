"""The bucket of the lake's data: made, and set up as ``provision.bucket`` says.

Laws
----
1. A bucket of another account, or one that may not be looked at, is in the way: nothing is tried on it.
2. Rules of others for the lifecycle of objects stay, also those of other environments in the same bucket. One that would delete
   what the lake needs, or take it where it cannot be read, is in the way.
3. Every setting is a thing of its own: what a killed run left out, the next one makes.
4. No setting is made weaker: what a key of KMS encrypts stays with a key. What cannot be undone is said in the plan.
"""

import json
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from vector_pipeline.config import EnvironmentConfig
from vector_pipeline.corpus.s3_access import S3Access, code_of, refusals
from vector_pipeline.errors import ConfigError
from vector_pipeline.provision.lifecycle import rule_id, takes_away
from vector_pipeline.provision.things import Action, Thing

_FOR_GOOD = "from then on a version of everything in the bucket is kept; that can be suspended, and not undone"
_NOT_SET = frozenset(
    (
        "ServerSideEncryptionConfigurationNotFoundError",
        "NoSuchPublicAccessBlockConfiguration",
        "NoSuchLifecycleConfiguration",
    )
)
_NOT_OFFERED = frozenset(("NotImplemented", "501"))
"""What services other than Amazon's say of what they do not have."""
_FIXES = {
    "s3 public access": "Keep it private by the service's own means, and set `provision: {bucket: {private: false}}`",
    "s3 encryption": "Set up the service's own keys: without them it encrypts nothing by itself",
    "s3 versioning": "Set `provision: {bucket: {versioning: false}}`",
}
_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_ABORT_DAYS = 1


def lake_place(data: str) -> tuple[str, str] | None:
    """Bucket and prefix of a lake's data; None where it is no ``s3://``."""
    parts = urlsplit(data)
    return (parts.netloc, parts.path.strip("/")) if parts.scheme == "s3" else None


class Buckets:
    """The lake's bucket as it is, and as it must be."""

    def __init__(self, settings: EnvironmentConfig) -> None:
        self._place = lake_place(settings.lake.data)
        self._wanted = settings.provision.bucket
        self._access = S3Access(settings.lake.s3)
        self.missing = False
        """Whether the bucket was not there when it was looked at."""

    def things(self) -> Iterator[Thing]:
        """In the order in which they are made."""
        if self._place is None:
            return
        bucket, prefix = self._place
        with self._access.client(self._where) as client:
            there = _there(client, bucket)
            self.missing = there is False
            facts = (
                ("prefix", f"{prefix}/" if prefix else "all of it"),
                ("region", str(client.meta.region_name or "us-east-1")),
            )
            if there is None:
                fix = "Allow s3:ListBucket on it to this user or role; or name another bucket: names are one for all accounts"
                yield Thing("s3 bucket", bucket, Action.DIFFERS, facts, "it is there, and is not ours to look at", fix)
                return
            yield Thing("s3 bucket", bucket, Action.EXISTS if there else Action.CREATE, facts, make=self._make_bucket)
            yield from self._settings(client, bucket, prefix, there=there)

    @property
    def _where(self) -> str:
        assert self._place is not None
        return f"bucket s3://{self._place[0]}"

    def _settings(self, client: Any, bucket: str, prefix: str, *, there: bool) -> Iterator[Thing]:
        wanted = self._wanted
        if wanted.private:
            yield self._private(client, bucket, there=there)
        yield self._encryption(client, bucket, there=there)
        if wanted.versioning:
            status = client.get_bucket_versioning(Bucket=bucket).get("Status") if there else None
            # Expiry is for the lake's prefix alone: what others replace or delete in their own is theirs to clear.
            note = _FOR_GOOD if there and status is None else ""
            facts = (("status", "Enabled"),)
            yield self._thing("s3 versioning", bucket, facts, there, status == "Enabled", self._version, note)
        yield self._lifecycle(client, bucket, prefix, there=there)

    def _private(self, client: Any, bucket: str, *, there: bool) -> Thing:
        kind, facts = "s3 public access", (("blocked", "all of it"),)
        try:
            now = _got(client.get_public_access_block, bucket) if there else {}
        except refusals() as error:
            if code_of(error) not in _NOT_OFFERED:
                raise
            return Thing(kind, bucket, Action.DIFFERS, facts, "the service does not offer it", _FIXES[kind])
        held = now.get("PublicAccessBlockConfiguration") or {}
        return self._thing(kind, bucket, facts, there, all(held.get(name) for name in _BLOCKS), self._block)

    def _encryption(self, client: Any, bucket: str, *, there: bool) -> Thing:
        """Law 4: where a key is used and none is asked for, it stays."""
        wanted, rule = self._wanted, _encrypts(client, bucket) if there else {}
        now = rule.get("ApplyServerSideEncryptionByDefault", {})
        algorithm, key = str(now.get("SSEAlgorithm", "")), now.get("KMSMasterKeyID")
        facts = (("algorithm", wanted.encryption), *((("key", wanted.kms_key),) if wanted.kms_key else ()))
        by_key = algorithm.startswith("aws:kms")
        if by_key and wanted.encryption == "AES256":
            kept = (("algorithm", algorithm), *((("key", str(key)),) if key else ()))
            return Thing("s3 encryption", bucket, Action.EXISTS, kept, "stronger than asked for, and stays")
        same = algorithm == wanted.encryption if wanted.encryption == "AES256" else by_key
        same = same and (wanted.kms_key is None or _is_key(key, wanted.kms_key))
        note = f"now {algorithm}{f' with {key}' if key else ''}; what is stored stays as it is" if algorithm else ""
        return self._thing("s3 encryption", bucket, facts, there, same, self._encrypt, "" if same else note)

    def _thing(
        self,
        kind: str,
        bucket: str,
        facts: tuple[tuple[str, str], ...],
        there: bool,
        same: bool,
        make: Any,
        note: str = "",
    ) -> Thing:
        action = Action.EXISTS if same and there else Action.CHANGE if there else Action.CREATE
        return Thing(kind, bucket, action, facts, note, make=partial(self._ask, make, kind))

    def _lifecycle(self, client: Any, bucket: str, prefix: str, *, there: bool) -> Thing:
        rules = _got(client.get_bucket_lifecycle_configuration, bucket).get("Rules", []) if there else []
        facts = [("parts of uploads that never ended", f"deleted after {_ABORT_DAYS} day")]
        if self._wanted.versioning:
            facts.append(("what was deleted or replaced", f"deleted after {self._wanted.noncurrent_days} days"))
        deadly = [one.get("ID", "without a name") for one in rules if takes_away(one, prefix)]
        if deadly:
            fix = "Take it off, or keep it away from the lake's prefix: what is needed is what the catalog says, not what is young"
            note = f"rule {', '.join(deadly)} deletes files of the lake by their age, or moves them where no read reaches them"
            return Thing("s3 lifecycle", bucket, Action.DIFFERS, tuple(facts), note, fix)
        wanted = self._rule(prefix)
        # Compared as text: what S3 gives back has the same keys.
        same = any(json.dumps(one, sort_keys=True) == json.dumps(wanted, sort_keys=True) for one in rules)
        return self._thing("s3 lifecycle", bucket, tuple(facts), there, same, self._keep)

    def _rule(self, prefix: str) -> dict[str, Any]:
        rule: dict[str, Any] = {
            "ID": rule_id(prefix), "Status": "Enabled", "Filter": {"Prefix": f"{prefix}/" if prefix else ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _ABORT_DAYS},
        }  # fmt: skip
        if self._wanted.versioning:
            rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": self._wanted.noncurrent_days}
        return rule

    def _ask(self, make: Any, kind: str = "s3 bucket") -> None:
        assert self._place is not None
        with self._access.client(self._where) as client:
            try:
                make(client, *self._place)
            except refusals() as error:
                if code_of(error) not in _NOT_OFFERED:
                    raise
                raise ConfigError(f"{self._where}: the service does not offer {kind}", fix=_FIXES.get(kind)) from None

    def _make_bucket(self) -> None:
        def make(client: Any, bucket: str, _: str) -> None:
            region = client.meta.region_name or "us-east-1"
            # Amazon takes its first region by being told nothing.
            where = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
            try:
                client.create_bucket(Bucket=bucket, **where)
            except refusals() as error:
                if code_of(error) == "BucketAlreadyOwnedByYou":
                    return
                if code_of(error) == "BucketAlreadyExists":
                    raise ConfigError(
                        f"{self._where} is somebody else's", fix="Name another bucket: names are one for all accounts"
                    ) from None
                raise

        self._ask(make)

    def _block(self, client: Any, bucket: str, _: str) -> None:
        client.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(_BLOCKS, True))

    def _encrypt(self, client: Any, bucket: str, _: str) -> None:
        chosen: dict[str, str] = {"SSEAlgorithm": self._wanted.encryption}
        chosen |= {"KMSMasterKeyID": self._wanted.kms_key} if self._wanted.kms_key else {}
        # What else the rule says, such as a key of the bucket's own, stays.
        rule = {**_encrypts(client, bucket), "ApplyServerSideEncryptionByDefault": chosen}
        client.put_bucket_encryption(Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": [rule]})

    def _version(self, client: Any, bucket: str, _: str) -> None:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def _keep(self, client: Any, bucket: str, prefix: str) -> None:
        rules = _got(client.get_bucket_lifecycle_configuration, bucket).get("Rules", [])
        wanted = self._rule(prefix)
        others = [one for one in rules if one.get("ID") != wanted["ID"]]
        client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [*others, wanted]})


def _there(client: Any, bucket: str) -> bool | None:
    """Whether there is such a bucket; None where it is not ours to look at (law 1)."""
    try:
        client.head_bucket(Bucket=bucket)
    except refusals() as error:
        if code_of(error) in ("404", "NoSuchBucket"):
            return False
        if code_of(error) in ("403", "AccessDenied"):
            return None
        raise
    return True


def _got(ask: Any, bucket: str) -> dict[str, Any]:
    """A setting; empty where it was never made."""
    try:
        found: dict[str, Any] = ask(Bucket=bucket)
    except refusals() as error:
        if code_of(error) in _NOT_SET:
            return {}
        raise
    return found


def _encrypts(client: Any, bucket: str) -> dict[str, Any]:
    """The rule of what S3 does with an object that comes without an encryption of its own; empty where there is none."""
    rules = _got(client.get_bucket_encryption, bucket).get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    return dict(rules[0]) if rules else {}


def _is_key(found: str | None, wanted: str) -> bool:
    """A key is named by its id or by its ARN."""
    return found is not None and found.rpartition("/")[2] == wanted.rpartition("/")[2]
