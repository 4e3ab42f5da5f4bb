"""A secret comes from the environment, reaches the library that needs it whole, and no message."""

import os
import traceback
from pathlib import Path

import psycopg
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlalchemy import make_url

from vector_pipeline.config import LakeConfig, SecretTemplate, scrub
from vector_pipeline.config.secrets import check_url
from vector_pipeline.errors import ConfigError, VectorPipelineError
from vector_pipeline.lake.connection import Lake
from vector_pipeline.release.registry.engine import Database

NASTY = "hun/ter2@x y'z"
FRAGMENTS = ("hun/", "hun%2F", "ter2", "x y'z", "y%20z")


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "PW": NASTY,
        "USER_": "a@b",
        "HOST_": "db.local:5433",
        "WHOLE": "postgresql://u:p%40ss@h/d",
    }.items():
        monkeypatch.setenv(name, value)


@given(value=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=8))
def test_any_password_arrives_whole_and_is_scrubbed(value: str) -> None:
    # A password that is a word of the address itself would be scrubbed there too.
    assume(value not in "cannot open postgresql://u:@host:5432/db?sslpassword=")
    before = dict(os.environ)
    os.environ["ANY_PASSWORD"] = value
    try:
        template = SecretTemplate("postgresql://u:${env:ANY_PASSWORD}@host:5432/db?sslpassword=${env:ANY_PASSWORD}")
        url = template.resolve_url()
        parsed = make_url(url)
        assert (parsed.username, parsed.password, parsed.host, parsed.port) == ("u", value, "host", 5432)
        assert psycopg.conninfo.conninfo_to_dict(url)["password"] == value
        assert scrub(f"cannot open {url}", template) == "cannot open postgresql://u:***@host:5432/db?sslpassword=***"
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.mark.parametrize(
    ("template", "url"),
    [
        ("${env:WHOLE}", "postgresql://u:p%40ss@h/d"),
        ("postgresql://${env:USER_}@${env:HOST_}/d", "postgresql://a%40b@db.local:5433/d"),
        ("postgresql://${env:HOST_}/d?user=${env:USER_}", "postgresql://db.local:5433/d?user=a%40b"),
        ("sqlite:///${env:PW}/x", f"sqlite:///{NASTY}/x"),
    ],
)
def test_only_what_the_other_side_unquotes_is_quoted(template: str, url: str) -> None:
    assert SecretTemplate(template).resolve_url() == url


def test_a_variable_that_is_not_set_is_named() -> None:
    template = SecretTemplate("postgresql://u:${env:NOT_SET_ANYWHERE}@h/d")
    with pytest.raises(ConfigError, match="NOT_SET_ANYWHERE is not set"):
        template.resolve_url()
    assert scrub("no such server", template) == "no such server"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:hunter2@h/d",
        "postgresql://u:hun/ter2@h/d",
        "postgresql://u:hun#ter2@h/d",
        "postgresql://u:hunter2@[bad/db",
        "postgresql://u:hunter2${env:PW}@h/d",
        "postgresql://h/d?user=u&password=hunter2",
        "postgresql://h/d?sslpassword=hunter2",
        "postgresql://h/d?pass%77ord=hunter2",
    ],
)
def test_a_literal_password_is_refused_wherever_it_hides(url: str) -> None:
    with pytest.raises(ValueError, match="must be a reference") as caught:
        check_url(url)
    assert "ter2" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://[bad/db",
        "postgresql://u:${env:PW}@[bad/db",
        "postgresql://h:port/db",
        "catalog.sqlite",
        "sqlite:x",
        "",
    ],
)
def test_what_is_no_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ValueError, match="not a URL: write sqlite:///path or postgresql://"):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:///a b/[1].sqlite",
        "sqlite:////abs/x.sqlite",
        "${env:WHOLE}",
        "postgresql://u@[::1]:5432/db",
        "postgresql:///db?host=/run/postgresql&passfile=/run/secrets/pgpass",
        "postgresql://${env:USER_}:${env:PW}@${env:HOST_}:${env:PORT_}/db?sslpassword=${env:PW}",
    ],
)
def test_urls_that_are_fine(url: str) -> None:
    assert check_url(url) == url


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("at postgresql://u:p@ss/w@h/d now", "at postgresql://u:***@h/d now"),
        ('DSN "host=h password=hunter2 user=u"', 'DSN "host=h password=*** user=u"'),
        (r"password='hun\' ter2' user=u", "password=*** user=u"),
        ("…/d?sslpassword=hunter2&user=u", "…/d?sslpassword=***&user=u"),
        ("https://example.org/a@b, port 5432: password authentication failed", None),
        ("at postgresql://me:p/s's@h/db now", "at postgresql://me:***@h/db now"),
        ("no postgresql://me@h/db", None),
        ("401 for https://sk-token@host/v1", "401 for https://***@host/v1"),
        ("401 for https://api.x/v1?api_key=SECRET&n=3", "401 for https://api.x/v1?api_key=***&n=3"),
        ("GET https://b.s3/x?X-Amz-Signature=SECRET", "GET https://b.s3/x?X-Amz-Signature=***"),
        ("{'Authorization': 'Bearer sk-SECRET', 'a': 1}", "{'Authorization': ***, 'a': 1}"),
        ("Authorization: Bearer sk-SECRET of", "Authorization: *** of"),
        ('{"apiKey": "SECRET", "n": 1}', '{"apiKey": ***, "n": 1}'),
        ("header api-key: SECRET refused", "header api-key: *** refused"),
        ("sent Bearer abc.def.ghi", "sent Bearer ***"),
        ("Bearer authentication failed, unknown key: chars; a token is missing", None),
        ("Give target x a `token:` such as ${env:TOKEN}; token: ${env:TOKEN}", None),
        ("Key (dataset)=(handbook) exists already, max_tokens=512", None),
    ],
)
def test_what_looks_like_a_password_is_scrubbed_too(text: str, clean: str | None) -> None:
    assert scrub(text) == (text if clean is None else clean)


def test_a_short_secret_does_not_garble_other_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "a")
    template = SecretTemplate("postgresql://u:${env:PW}@h/d")
    assert scrub("a password was rejected: 'a'", template) == "*** password was rejected: '***'"


@pytest.mark.parametrize(
    "template",
    ["postgresql://u:${env:PW}@127.0.0.1:1/db", "postgresql://127.0.0.1:1/db?user=u&password=${env:PW}"],
)
def test_neither_registry_nor_lake_prints_a_password(template: str, tmp_path: Path) -> None:
    secret = SecretTemplate(template)
    database = Database(secret)
    with pytest.raises(VectorPipelineError, match=r"registry postgresql.*127\.0\.0\.1") as registry:
        database.read(lambda connection: connection)
    with pytest.raises(VectorPipelineError) as lake:
        Lake.open(LakeConfig(catalog=secret, data=str(tmp_path)), tmp_path)
    for said in (database.where, str(registry.value), str(lake.value)):
        assert not any(part in said for part in FRAGMENTS)


def test_not_even_under_a_misspelt_name_nor_in_what_caused_the_error() -> None:
    # Dagster keeps the causes of an error too.
    database = Database(SecretTemplate("postgresql://127.0.0.1:1/db?user=u&passwort=${env:PW}"))
    with pytest.raises(VectorPipelineError) as caught:
        database.read(lambda connection: connection)
    assert "127.0.0.1:1/db?user=u" in str(caught.value)
    told = "".join(traceback.format_exception(caught.value))
    assert not any(part in told for part in FRAGMENTS)


def test_a_configuration_shows_templates_only() -> None:
    lake = LakeConfig(catalog=SecretTemplate("postgresql://u:${env:PW}@h/d"))
    shown = (
        repr(lake),
        str(lake),
        f"{lake.catalog}",
        repr(lake.catalog),
        lake.model_dump_json(),
        repr(lake.model_dump()),
    )
    assert all("${env:PW}" in text for text in shown)
    assert not any(part in text for part in FRAGMENTS for text in shown)
