"""The bucket of the lake's data: made, and set up as ``provision.bucket`` says.

Laws
----
1. A bucket of another account, or one that may not be looked at, is in the way: nothing is tried on it.
2. Rules of others for the lifecycle of objects stay, also those of other environments in the same bucket. One that would delete
   what the lake needs, or take it where it cannot be read, is in the way.
3. Every setting is a thing of its own: what a killed run left out, the next one makes.
4. No setting is made weaker: what a key of KMS encrypts stays with a key. What cannot be undone is said in the plan.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from vector_pipeline.config import EnvironmentConfig
from vector_pipeline.corpus.s3_access import S3Access, code_of, refusals
from vector_pipeline.errors import ConfigError
from vector_pipeline.provision.things import Action, Thing

_RULE = "vector-pipeline"
_LONGEST_ID = 255
_COLD = frozenset(("GLACIER", "DEEP_ARCHIVE"))
"""Classes of storage that answer no read before somebody restores the object."""
_FOR_GOOD = "from then on a version of everything in the bucket is kept; that can be suspended, and not undone"
_NOT_SET = frozenset(
    (
        "ServerSideEncryptionConfigurationNotFoundError",
        "NoSuchPublicAccessBlockConfiguration",
        "NoSuchLifecycleConfiguration",
    )
)
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
            now = _got(client.get_public_access_block, bucket) if there else {}
            held = (now.get("PublicAccessBlockConfiguration") or {}).items()
            set_ = all(dict(held).get(name) for name in _BLOCKS)
            yield self._thing("s3 public access", bucket, (("blocked", "all of it"),), there, set_, self._block)
        yield self._encryption(client, bucket, there=there)
        if wanted.versioning:
            status = client.get_bucket_versioning(Bucket=bucket).get("Status") if there else None
            # Expiry is for the lake's prefix alone: what others replace or delete in their own is theirs to clear.
            note = _FOR_GOOD if there and status is None else ""
            facts = (("status", "Enabled"),)
            yield self._thing("s3 versioning", bucket, facts, there, status == "Enabled", self._version, note)
        yield self._lifecycle(client, bucket, prefix, there=there)

    def _encryption(self, client: Any, bucket: str, *, there: bool) -> Thing:
        """Law 4: where a key is used and none is asked for, it stays."""
        wanted, now = self._wanted, _encrypted(client, bucket) if there else {}
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
        return Thing(kind, bucket, action, facts, note, make=partial(self._ask, make))

    def _lifecycle(self, client: Any, bucket: str, prefix: str, *, there: bool) -> Thing:
        rules = _got(client.get_bucket_lifecycle_configuration, bucket).get("Rules", []) if there else []
        facts = [("parts of uploads that never ended", f"deleted after {_ABORT_DAYS} day")]
        if self._wanted.versioning:
            facts.append(("what was deleted or replaced", f"deleted after {self._wanted.noncurrent_days} days"))
        deadly = [one.get("ID", "without a name") for one in rules if _takes_away(one, prefix)]
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
            "ID": _rule_id(prefix), "Status": "Enabled", "Filter": {"Prefix": f"{prefix}/" if prefix else ""},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": _ABORT_DAYS},
        }  # fmt: skip
        if self._wanted.versioning:
            rule["NoncurrentVersionExpiration"] = {"NoncurrentDays": self._wanted.noncurrent_days}
        return rule

    def _ask(self, make: Any) -> None:
        assert self._place is not None
        with self._access.client(self._where) as client:
            make(client, *self._place)

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
        now = _got(client.get_bucket_encryption, bucket).get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
        # What else the rule says, such as a key of the bucket's own, stays.
        rule = {**(now[0] if now else {}), "ApplyServerSideEncryptionByDefault": chosen}
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


def _rule_id(prefix: str) -> str:
    """Of a prefix: environments that share a bucket keep each its own rule."""
    name = f"{_RULE}-{prefix}" if prefix else _RULE
    return name if len(name) <= _LONGEST_ID else f"{_RULE}-{hashlib.sha256(prefix.encode()).hexdigest()}"


def _encrypted(client: Any, bucket: str) -> dict[str, Any]:
    """What S3 does with an object that comes without an encryption of its own."""
    rules = _got(client.get_bucket_encryption, bucket).get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    return next((dict(one.get("ApplyServerSideEncryptionByDefault", {})) for one in rules), {})


def _is_key(found: str | None, wanted: str) -> bool:
    """A key is named by its id or by its ARN."""
    return found is not None and found.rpartition("/")[2] == wanted.rpartition("/")[2]


def _takes_away(rule: dict[str, Any], prefix: str) -> bool:
    """Whether a rule deletes present objects below a prefix by their age, or moves them where they cannot be read."""
    cold = any(one.get("StorageClass") in _COLD for one in rule.get("Transitions", []))
    expires = {"Days", "Date"} & rule.get("Expiration", {}).keys()
    if rule.get("Status") != "Enabled" or not (cold or expires):
        return False
    chosen = rule.get("Filter", {})
    theirs = str(chosen.get("Prefix", chosen.get("And", {}).get("Prefix", rule.get("Prefix", ""))))
    ours = f"{prefix}/" if prefix else ""
    return theirs.startswith(ours) or ours.startswith(theirs)
