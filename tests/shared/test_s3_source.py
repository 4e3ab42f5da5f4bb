"""Documents from S3: listed whole, downloaded only if changed, and wrong in one line."""

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.conftest import page
from tests.shared.conftest import Bucket, enforced, user
from vector_pipeline.build.watch import source_digests, watched
from vector_pipeline.config import S3SourceConfig, load_config
from vector_pipeline.corpus import Document, Item, Parsed, Quarantined, Seen
from vector_pipeline.corpus.s3 import S3Source
from vector_pipeline.errors import ConfigError, RefusedError, UnavailableError, VectorPipelineError
from vector_pipeline.project import Project

CONFIG = """
datasets:
  handbook:
    source: {{kind: s3, bucket: {bucket}, prefix: docs, include: ["**/*.md"]{more}}}
    shards: 4
    spaces:
      tiny:
        embedder: {{kind: deterministic, model: seed, dimension: 32}}
        chunker: {{max_tokens: 60, overlap_tokens: 5, min_tokens: 10}}
    target: local
    gates: {{max_removed_share: 1}}
"""


def source(bucket: Bucket, prefix: str = "docs", **config: object) -> S3Source:
    return S3Source(S3SourceConfig(kind="s3", bucket=bucket.name, prefix=prefix, **config))


def read(found: S3Source, seen: dict[str, Seen] | None = None) -> dict[str, Parsed]:
    return {one.id: one for one in found.read(found.list(), seen or {})}


@pytest.fixture
def project(bucket: Bucket, tmp_path: Path) -> Iterator[Project]:
    path = tmp_path / "vector_pipeline.yaml"
    path.write_text(CONFIG.format(bucket=bucket.name, more=""))
    for number in range(6):
        bucket.put(f"docs/page{number}.md", page(number))
    with Project.load(path) as opened:
        yield opened


def test_ids_are_keys_below_the_prefix_and_patterns_mean_what_they_mean_of_files(bucket: Bucket) -> None:
    for key in ("docs/a.md", "docs/sub/b c+ü.md", "docs/.hidden.md", "docs/drafts/x.md", "docs/c.txt", "docs-old/d.md"):
        bucket.put(key, "# Title\n\nText.")
    bucket.put("docs/", b"")
    bucket.put("docs/sub/", b"")
    found = source(bucket, include=["**/*.md"], exclude=["drafts"])
    assert found.where == f"s3://{bucket.name}/docs/"
    assert [one.id for one in found.list()] == ["a.md", "sub/b c+ü.md"]
    outcomes = read(found)
    assert isinstance(outcomes["sub/b c+ü.md"].outcome, Document)
    assert outcomes["sub/b c+ü.md"].outcome.metadata["folder"] == "sub"
    assert [one.id for one in source(bucket, "docs-old/").list()] == ["d.md"]
    assert len(list(source(bucket, "").list())) == 5


def test_revisions_are_of_the_content(bucket: Bucket) -> None:
    bucket.put("docs/a.md", "# A\n\nfirst")
    before = list(source(bucket).list())
    bucket.put("docs/a.md", "# A\n\nfirst")
    assert list(source(bucket).list()) == before
    bucket.put("docs/a.md", "# A\n\nother")
    (after,) = source(bucket).list()
    assert after.revision != before[0].revision
    # Listed before the change, read after it: the revision is that of what was read.
    (parsed,) = source(bucket).read(before, {})
    assert parsed.seen.revision == after.revision
    assert next(source(bucket).read([after], {"a.md": parsed.seen})).outcome is None


def test_more_objects_than_a_page_are_listed(bucket: Bucket) -> None:
    # Straight into the server, which is in this process: a request for each would take half a minute.
    from moto.s3.models import s3_backends

    for number in range(1_001):
        s3_backends["123456789012"]["aws"].put_object(bucket.name, f"docs/{number:05d}.md", b"# A")
    assert len(list(source(bucket).list())) == 1_001


def test_what_is_not_wanted_is_not_downloaded(bucket: Bucket) -> None:
    bucket.put("docs/a.bin", b"\0" * 50)
    bucket.put("docs/b.md", "x" * 5_000)
    bucket.put("docs/c.md", "")
    outcomes = read(source(bucket, max_file_size=1_000))
    reasons = {name: one.outcome.reason for name, one in outcomes.items() if isinstance(one.outcome, Quarantined)}
    assert reasons == {"a.bin": "unsupported", "b.md": "too-large", "c.md": "empty"}
    # Larger than it was listed: seen from the answer's head, before its body.
    (grown,) = source(bucket, max_file_size=1_000).read([Item("b.md", "10-old")], {})
    assert isinstance(grown.outcome, Quarantined)
    assert grown.outcome.reason == "too-large"


def test_an_object_that_vanished_is_left_out(bucket: Bucket) -> None:
    bucket.put("docs/a.md", "# A\n\ntext")
    found = source(bucket)
    items = [Item("gone.md", "3-x"), *found.list()]
    assert [one.id for one in found.read(items, {})] == ["a.md"]


def test_reading_may_end_early(bucket: Bucket) -> None:
    for number in range(9):
        bucket.put(f"docs/{number:02d}.md", f"# {number}\n\ntext")
    found = source(bucket, downloads=3)
    reading = found.read(found.list(), {})
    assert next(reading).id == "00.md"
    reading.close()
    assert not [one for one in threading.enumerate() if one.name.startswith("s3-download")]
    assert [one.id for one in found.read(found.list(), {})] == [f"{number:02d}.md" for number in range(9)]


@pytest.mark.slow
def test_a_sync_downloads_only_what_changed(project: Project, bucket: Bucket) -> None:
    first = project.sync("handbook")
    assert (first.listed, first.read, first.added) == (6, 6, 6)
    assert project.sync("handbook").read == 0
    bucket.put("docs/page2.md", page(2) + "\nMore.\n")
    bucket.put("docs/page3.md", page(3))
    bucket.put("docs/page9.md", page(9))
    bucket.delete("docs/page0.md")
    second = project.sync("handbook")
    assert (second.listed, second.read, second.added, second.changed, second.deleted) == (6, 2, 1, 1, 1)


def test_a_source_that_lists_nothing_deletes_nothing(project: Project, bucket: Bucket) -> None:
    project.sync("handbook")
    bucket.delete(*bucket.objects())
    with pytest.raises(RefusedError, match=rf"s3://{bucket.name}/docs/ lists nothing; it listed 6 items before"):
        project.sync("handbook")


def test_a_listing_that_does_not_end_in_time_says_what_to_do(project: Project, bucket: Bucket) -> None:
    config = project.dataset("handbook")
    with pytest.raises(RefusedError, match=r"after 0 s no more than 1 items are listed.*Enable `refresh`") as told:
        source_digests(config, project.base, within_s=0)
    assert f"s3://{bucket.name}/docs/ cannot be watched" in str(told.value)
    assert source_digests(config, project.base, within_s=600) == source_digests(config, project.base)


def test_the_sensor_and_the_run_see_what_changed(project: Project, bucket: Bucket) -> None:
    config = project.dataset("handbook")
    assert watched(config) == f"s3://{bucket.name}/docs/"
    before = source_digests(config, project.base)
    assert before is not None
    assert source_digests(config, project.base) == before
    project.build("handbook")
    assert project.pending("handbook") == set()
    bucket.put("docs/page2.md", page(2) + "\nMore.\n")
    after = source_digests(config, project.base)
    assert after is not None
    changed = {shard for shard in range(4) if after.get(shard) != before.get(shard)}
    assert len(changed) == 1
    assert project.pending("handbook") == changed


@pytest.mark.slow
def test_an_object_that_may_not_be_read_is_quarantined_and_its_document_stays(
    project: Project, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.sync("handbook")
    bucket.put("docs/page1.md", page(1) + "\nMore.\n")
    allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    denied = {"Effect": "Deny", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket.name}/docs/page1.md"}
    keys = user(
        f"{bucket.name}-most", json.dumps({"Version": "2012-10-17", "Statement": [allowed, denied]}), bucket.endpoint
    )
    for name, value in keys.items():
        monkeypatch.setenv(name, value)
    with enforced(bucket.endpoint):
        for _ in range(2):  # It is tried again each time: rights move no ETag.
            counts = project.sync("handbook")
            assert (counts.read, counts.deleted, counts.quarantined) == (1, 0, 1)
    (found,) = project.quarantined("handbook")
    assert found["document"] == "page1.md"
    assert found["reason"] == "unreadable"
    assert "allow s3:GetObject" in found["detail"]
    assert "page1.md" in [one["document"] for one in project.documents("handbook")]
    assert project.sync("handbook").quarantined == 0


class Breaking(BaseHTTPRequestHandler):
    """An S3 of one object, which is busy once, breaks off once, and then answers."""

    protocol_version = "HTTP/1.1"
    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        body = b"# A\n\nthe whole text"
        self.send_response(503 if self.asked == 1 else 200)
        self.send_header("ETag", '"e"')
        self.send_header("Content-Length", str(0 if self.asked == 1 else len(body)))
        self.end_headers()
        if self.asked > 1:
            self.wfile.write(body[:4] if self.asked == 2 else body)
        self.close_connection = self.asked == 2

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.mark.usefixtures("endpoint")
def test_what_breaks_off_is_read_again() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Breaking) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            config = S3SourceConfig.model_validate(
                {"kind": "s3", "bucket": "any-bucket", "endpoint": f"http://127.0.0.1:{server.server_port}"}
            )
            (parsed,) = S3Source(config).read([Item("a.md", "9-old")], {})
        finally:
            server.shutdown()
            thread.join()
    assert isinstance(parsed.outcome, Document)
    assert parsed.outcome.text.endswith("the whole text")
    assert Breaking.asked == 3


def test_mistakes_are_one_line(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    def said(found: S3Source, kind: type[VectorPipelineError]) -> str:
        with pytest.raises(kind) as caught:
            list(found.list())
        assert "\n" not in str(caught.value)
        assert "testing-secret-value" not in str(caught.value)
        return str(caught.value)

    nowhere = S3Source(S3SourceConfig(kind="s3", bucket="no-such-bucket"))
    assert "s3://no-such-bucket/: there is no such bucket" in said(nowhere, ConfigError)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setattr("vector_pipeline.corpus.s3_access.ATTEMPTS", 1)
        closed = source(bucket, endpoint=f"http://127.0.0.1:{free.getsockname()[1]}")
        assert "does not answer" in said(closed, UnavailableError)
    assert "nobody" in said(source(bucket, profile="nobody"), ConfigError)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "Set the AWS environment" in said(source(bucket), ConfigError)
    assert [one.id for one in source(bucket, anonymous=True).list()] == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (", access_key_id: AKIA1", "access_key_id must be a reference such as ${env:ACCESS_KEY_ID}"),
        (', access_key_id: "${env:A}"', "belong together"),
        (", endpoint: minio:9000", "not a URL"),
        (", endpoint: ftp://minio", "must begin with http:// or https://"),
        (", bukket: x", "did you mean bucket?"),
        (", root: docs", "unknown key"),
    ],
)
def test_mistakes_in_the_file_are_told(tmp_path: Path, more: str, says: str) -> None:
    path = tmp_path / "vector_pipeline.yaml"
    path.write_text(CONFIG.format(bucket="some-bucket", more=more))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert f"{path}:4:" in str(caught.value)
    assert says in str(caught.value)


def test_a_bucket_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "vector_pipeline.yaml"
    path.write_text(CONFIG.format(bucket="s3://mine/docs", more=""))
    with pytest.raises(ConfigError, match="no s3:// before it"):
        load_config(path)
