"""The lake's bucket on moto's S3: made, set up, and left alone where it is not ours."""

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.test_shared_storage_page import blocks
from tests.provision.conftest import Work, actions
from tests.shared.conftest import KEYS, Bucket, enforced, user
from vector_pipeline.errors import ConfigError, RefusedError
from vector_pipeline.provision.access import reader_policy, writer_policy

_NUMBERS = itertools.count(1)


def environment(folder: Path, name: str, **provision: Any) -> dict[str, Any]:
    return {
        "lake": {"catalog": f"sqlite:///{folder}/catalog.sqlite", "data": f"s3://{name}/lake"},
        "registry": f"sqlite:///{folder}/registry.sqlite", "targets": {"local": {"path": str(folder / "index")}},
        "provision": {"bucket": provision},
    }  # fmt: skip


@pytest.fixture
def bucket(endpoint: str) -> Bucket:
    """A name that no bucket has."""
    return Bucket(f"provision-{next(_NUMBERS)}", endpoint)


@pytest.fixture
def others(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Another service than Amazon's: so MinIO answers to what it does not offer (`rejectedBucketAPIs` of its cmd/api-router.go)."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    application = DomainDispatcherApplication(create_backend_app)
    refusal = b"<Error><Code>NotImplemented</Code><Message>A header implies what is not implemented</Message></Error>"

    def answer(environ: Any, start: Any) -> Any:
        if "publicAccessBlock" in environ["QUERY_STRING"]:
            start("501 Not Implemented", [("Content-Type", "application/xml")])
            return [refusal]
        return application(environ, start)

    server = make_server("127.0.0.1", 0, answer, threaded=True)
    serving = threading.Thread(target=server.serve_forever)
    serving.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    yield server.host
    server.shutdown()
    serving.join()


@pytest.mark.slow
@pytest.mark.parametrize("there", [True, False])
def test_what_a_service_does_not_offer_is_asked_for_no_more(
    bucket: Bucket, others: str, tmp_path: Path, opened: Work, there: bool
) -> None:
    if there:
        with bucket.client() as client:
            client.create_bucket(Bucket=bucket.name)
        (said,) = opened(environment(tmp_path, bucket.name)).provision_plan().blocked
        assert (said.kind, said.note) == ("s3 public access", "the service does not offer it")
        assert "private: false" in said.fix
    else:
        work = opened(environment(tmp_path, bucket.name))
        with pytest.raises(ConfigError, match=r"does not offer.*private: false"):
            work.provision(work.provision_plan())
    wanted = environment(tmp_path, bucket.name, private=False)
    work = opened(wanted)
    work.provision(work.provision_plan())
    assert opened(wanted).provision_plan().empty


def test_a_bucket_is_made_as_it_must_be(bucket: Bucket, tmp_path: Path, opened: Work) -> None:
    wanted = environment(tmp_path, bucket.name)
    work = opened(wanted)
    plan = work.provision_plan()
    assert set(actions(plan).values()) == {"create"}
    work.provision(plan)
    assert opened(wanted).provision_plan().empty
    with bucket.client() as client:
        assert client.get_bucket_versioning(Bucket=bucket.name)["Status"] == "Enabled"
        assert all(client.get_public_access_block(Bucket=bucket.name)["PublicAccessBlockConfiguration"].values())
        (rule,) = client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
        assert rule["NoncurrentVersionExpiration"] == {"NoncurrentDays": 7}
        assert "Expiration" not in rule
        encryption = client.get_bucket_encryption(Bucket=bucket.name)["ServerSideEncryptionConfiguration"]
        assert "AES256" in str(encryption)


@pytest.mark.slow
def test_a_bucket_that_is_there_gets_what_it_lacks_and_keeps_what_it_has(
    bucket: Bucket, tmp_path: Path, opened: Work
) -> None:
    theirs = {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}
    with bucket.client() as client:
        client.create_bucket(Bucket=bucket.name)
        client.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration={"Rules": [theirs]})
    wanted = environment(tmp_path, bucket.name, noncurrent_days=3)
    work = opened(wanted)
    plan = work.provision_plan()
    found = actions(plan)
    assert (found["s3 bucket"], found["s3 versioning"], found["s3 lifecycle"]) == ("exists", "change", "change")
    work.provision(plan)
    assert opened(wanted).provision_plan().empty
    with bucket.client() as client:
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
    assert [one["ID"] for one in rules] == ["logs", "vector-pipeline-lake"]


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["", "lake/", "lake/handbook/"])
def test_a_rule_that_would_delete_the_lake_is_in_the_way(
    bucket: Bucket, tmp_path: Path, opened: Work, prefix: str
) -> None:
    deadly = {"ID": "old", "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": 30}}
    with bucket.client() as client:
        client.create_bucket(Bucket=bucket.name)
        client.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration={"Rules": [deadly]})
    work = opened(environment(tmp_path, bucket.name))
    plan = work.provision_plan()
    (one,) = plan.blocked
    assert "rule old deletes files of the lake" in one.note
    with pytest.raises(RefusedError, match="nothing was made"):
        work.provision(plan)
    with bucket.client() as client:
        assert "Status" not in client.get_bucket_versioning(Bucket=bucket.name)


@pytest.mark.slow
@pytest.mark.parametrize("cold", ["GLACIER", "DEEP_ARCHIVE", "GLACIER_IR"])
def test_a_rule_that_puts_the_lake_on_ice_is_in_the_way(
    bucket: Bucket, tmp_path: Path, opened: Work, cold: str
) -> None:
    rule = {
        "ID": "cold",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Transitions": [{"Days": 30, "StorageClass": cold}],
    }
    with bucket.client() as client:
        client.create_bucket(Bucket=bucket.name)
        client.put_bucket_lifecycle_configuration(Bucket=bucket.name, LifecycleConfiguration={"Rules": [rule]})
    plan = opened(environment(tmp_path, bucket.name)).provision_plan()
    # From the last of them S3 answers at once.
    assert [one.kind for one in plan.blocked] == ([] if cold == "GLACIER_IR" else ["s3 lifecycle"])


@pytest.mark.slow
def test_environments_in_one_bucket_keep_each_its_own_rule(bucket: Bucket, tmp_path: Path, opened: Work) -> None:
    def of(name: str) -> dict[str, Any]:
        found = environment(tmp_path / name, bucket.name)
        found["lake"]["data"] = f"s3://{bucket.name}/{name}"
        return found

    for name in ("prod", "staging"):
        work = opened(of(name), folder=tmp_path / f"{name}-project")
        work.provision(work.provision_plan())
    for name in ("prod", "staging"):
        assert opened(of(name), folder=tmp_path / f"{name}-project").provision_plan().empty
    with bucket.client() as client:
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket.name)["Rules"]
    assert {one["ID"]: one["Filter"]["Prefix"] for one in rules} == {
        "vector-pipeline-prod": "prod/", "vector-pipeline-staging": "staging/",
    }  # fmt: skip


@pytest.mark.slow
def test_a_key_of_the_buckets_own_stays(bucket: Bucket, tmp_path: Path, opened: Work) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/theirs"
    theirs = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
    with bucket.client() as client:
        client.create_bucket(Bucket=bucket.name)
        client.put_bucket_encryption(
            Bucket=bucket.name,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": theirs, "BucketKeyEnabled": True}]
            },
        )

        def rule() -> dict[str, Any]:
            (found,) = client.get_bucket_encryption(Bucket=bucket.name)["ServerSideEncryptionConfiguration"]["Rules"]
            return dict(found)

        work = opened(environment(tmp_path, bucket.name))
        plan = work.provision_plan()
        found = {one.kind: one for one in plan.things}
        assert (str(found["s3 encryption"].action), dict(found["s3 encryption"].facts)["key"]) == ("exists", key)
        assert "not undone" in found["s3 versioning"].note
        work.provision(plan)
        assert rule()["ApplyServerSideEncryptionByDefault"] == theirs
        # Named by its id it is the same key; another is asked for, and the rest of the rule stays.
        by_id = environment(tmp_path, bucket.name, encryption="aws:kms", kms_key="theirs")
        assert opened(by_id).provision_plan().empty
        work = opened(environment(tmp_path, bucket.name, encryption="aws:kms", kms_key="ours"))
        (one,) = work.provision_plan().pending
        assert key in one.note
        work.provision(work.provision_plan())
        assert rule()["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == "ours"
        assert rule()["BucketKeyEnabled"] is True


def test_a_bucket_that_may_not_be_looked_at(
    bucket: Bucket, tmp_path: Path, opened: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bucket.client(**KEYS) as client:
        client.create_bucket(Bucket=bucket.name)
    nobody = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}]}
    for name, value in user(f"nobody-{bucket.name}", json.dumps(nobody), bucket.endpoint).items():
        monkeypatch.setenv(name, value)
    with enforced(bucket.endpoint):
        (one,) = opened(environment(tmp_path, bucket.name)).provision_plan().blocked
    assert (one.kind, one.note) == ("s3 bucket", "it is there, and is not ours to look at")


def test_the_policies_are_those_of_the_page() -> None:
    writer, reader = (json.loads(one) for one in blocks("json"))
    assert writer == writer_policy("company-vectors", ("lake", "dagster"), ("documents",))
    assert reader == reader_policy("company-vectors", "lake")
