"""Alerts reach real servers, in the form that each wants; what does not arrive is told, and holds no secret."""

import json
import logging
from email import message_from_string
from email.policy import default
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from tests.automation.conftest import Mailbox, Received
from tests.support.configuration import with_piece
from vector_pipeline.alerts import Alert, Book, book, deliver, delivering
from vector_pipeline.config.automation import AlertConfig
from vector_pipeline.config.models import automation_of
from vector_pipeline.errors import ConfigError

ALERT = Alert(
    "gate-failed", "handbook", "prod", "version 7 did not pass canary retrieval: 3 of 40 canaries", "2026-11-22T07:00:00+00:00",
    "Look at the report", "vector-pipeline report handbook 7 --env prod", 7, "0a1b2c3d-0000", "http://dagster/runs/0a1b2c3d",
    "/reports/7.html", ("canary retrieval",),
)  # fmt: skip
SECRET = "T0PSECRET/hunter2"


def made(**settings: object) -> AlertConfig:
    one: AlertConfig = TypeAdapter(AlertConfig).validate_python(settings)
    return one


@pytest.fixture
def slack(receiver: Received, monkeypatch: pytest.MonkeyPatch) -> AlertConfig:
    monkeypatch.setenv("SLACK_WEBHOOK", f"{receiver.url}/services/{SECRET}")
    return made(kind="slack", url="${env:SLACK_WEBHOOK}")


def test_a_webhook_gets_everything_as_json(receiver: Received, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_TOKEN", "hunter2")
    to = made(kind="webhook", url=f"{receiver.url}/hook", headers={"Authorization": "Bearer ${env:ALERT_TOKEN}"})
    assert deliver(ALERT, to).delivered
    ((path, headers, body),) = receiver.requests
    assert (path, headers["Authorization"]) == ("/hook", "Bearer hunter2")
    assert body["run"] == {"id": "0a1b2c3d-0000", "url": "http://dagster/runs/0a1b2c3d"}
    assert (body["event"], body["dataset"], body["version"], body["gates"]) == (
        "gate-failed", "handbook", 7, ["canary retrieval"],
    )  # fmt: skip
    assert body["text"] == (
        "[prod] handbook: version 7 did not pass canary retrieval: 3 of 40 canaries. Look at the report."
        " · Run: http://dagster/runs/0a1b2c3d · Report: /reports/7.html"
        " · Next: vector-pipeline report handbook 7 --env prod"
    )


def test_slack_gets_its_own_format(receiver: Received, slack: AlertConfig) -> None:
    assert deliver(
        Alert("run-failed", "handbook", "prod", "push <b> & more failed", "now", run_id="1" * 8), slack
    ).delivered
    body = receiver.requests[0][2]
    assert body["blocks"][0]["text"] == {
        "type": "mrkdwn",
        "text": "*[prod] handbook: a run failed*\npush &lt;b&gt; &amp; more failed",
    }
    assert "push &lt;b&gt; &amp; more failed" in body["text"]


def test_a_mail_gets_there(mailbox: Mailbox) -> None:
    to = made(
        kind="email", host="127.0.0.1", port=mailbox.port, security="none", sender="vp@example.com",
        to=["a@example.com", "b@example.com"],
    )  # fmt: skip
    assert deliver(ALERT, to).delivered
    ((receivers, text),) = mailbox.mails
    mail = message_from_string(text, policy=default)
    assert receivers == ["a@example.com", "b@example.com"]
    assert mail["Subject"] == "[prod] handbook: gates failed of version 7"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert "Next: vector-pipeline report handbook 7 --env prod" in mail.get_content()


def test_what_may_pass_is_tried_again_and_what_may_not_is_not(receiver: Received) -> None:
    to = made(kind="webhook", url=receiver.url)
    receiver.answers = [503, 429]
    assert deliver(ALERT, to).delivered
    assert len(receiver.requests) == 3
    receiver.answers = [404]
    gone = deliver(ALERT, to)
    assert (gone.delivered, gone.later, len(receiver.requests)) == (False, False, 4)
    receiver.answers = [302]
    # A redirected POST would become a GET, and its headers somebody else's.
    assert not deliver(ALERT, to).delivered
    assert len(receiver.requests) == 5


def test_no_secret_is_told_of_what_did_not_arrive(
    receiver: Received,
    slack: AlertConfig,
    mailbox: Mailbox,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("SMTP_PASSWORD", "hunter2")
    monkeypatch.setenv("NOWHERE", f"http://127.0.0.1:9/{SECRET}")
    receiver.answers = [403]
    mail = {"kind": "email", "host": "127.0.0.1", "port": mailbox.port, "sender": "a@b.c", "to": ["d@e.f"]}
    to = [
        slack,
        made(kind="slack", url="${env:NOWHERE}"),
        made(kind="slack", url="${env:NOT_SET}"),
        made(**mail, username="me", password="${env:SMTP_PASSWORD}"),
        made(**mail, security="tls"),
    ]
    with caplog.at_level(logging.WARNING):
        done = [deliver(ALERT, one, tries=1) for one in to]
    assert [one.delivered for one in done] == [False] * 5
    assert [one.later for one in done] == [False, True, True, True, True]
    said = caplog.text + "".join(f"{one.receiver} {one.said}" for one in done)
    assert "slack ${env:SLACK_WEBHOOK}" in said
    assert "hunter2" not in said
    assert "T0PSECRET" not in said


def test_a_refused_receiver_is_told(mailbox: Mailbox) -> None:
    to = made(
        kind="email", host="127.0.0.1", port=mailbox.port, security="none", sender="a@b.c", to=["good@b.c", "bad@b.c"]
    )
    mailbox.refuses = {"bad@b.c": 550}
    done = deliver(ALERT, to)
    assert (done.delivered, done.later) == (False, False)
    assert "not for bad@b.c" in done.said
    assert mailbox.mails[0][0] == ["good@b.c"]
    mailbox.refuses = {"good@b.c": 451, "bad@b.c": 451}
    assert deliver(ALERT, to, tries=1).later


def test_whoever_sends_a_byte_now_and_then_is_given_up(dripping: int, receiver: Received) -> None:
    """No read of it meets a timeout: without a deadline this never ends, and the tick of the sensor with it."""
    mail = made(
        kind="email", host="127.0.0.1", port=dripping, security="none", sender="a@b.c", to=["d@e.f"], timeout_s=20
    )
    done = deliver(ALERT, mail, deadline_s=0.3)
    assert (done.delivered, done.later, done.said) == (False, True, "it did not answer within 0.3 s")
    web = made(kind="webhook", url=f"http://127.0.0.1:{dripping}", timeout_s=20)
    assert not deliver(ALERT, web, deadline_s=0.3).delivered
    assert deliver(ALERT, made(kind="webhook", url=receiver.url), deadline_s=20).delivered


def test_a_round_ends_before_its_tick_is_given_up() -> None:
    # Dagster gives a sensor's tick 60 s.
    assert 0 < delivering.DEADLINE_S < book.BUDGET_S < 40


def test_the_same_failure_of_the_same_version_is_told_once(receiver: Received) -> None:
    to = [made(kind="webhook", url=receiver.url)]
    book = Book()

    def tell(alert: Alert, now: float) -> int:
        nonlocal book
        done = book.tell([alert], to, now=now)
        book = Book.from_json(json.loads(str(book)))
        return len(done)

    other = Alert("gate-failed", "handbook", "prod", "…", "now", version=8, gates=("canary retrieval",))
    assert [tell(ALERT, 0), tell(ALERT, 10), tell(ALERT, 80_000_000), tell(other, 20)] == [1, 0, 1, 1]
    run = [Alert("run-failed", "handbook", "prod", f"push failed: run {n}a2b3c4 is gone", "now") for n in range(3)]
    assert [tell(run[0], 30), tell(run[1], 40)] == [1, 0]
    book.succeeded("handbook")
    assert [tell(run[2], 50), tell(run[0], 60), tell(run[0], 50 + 25 * 3600)] == [1, 0, 1]


def test_what_an_audit_finds_is_told_again_when_it_is_something_else(receiver: Received) -> None:
    to = [made(kind="webhook", url=receiver.url)]
    book, day = Book(), 24 * 3600.0

    def tell(what: str, now: float, version: int = 7) -> int:
        nonlocal book
        drift = Alert("drift", "handbook", "prod", what, "now", version=version, gates=("drift",))
        done = book.tell([drift], to, now=now)
        book = Book.from_json(json.loads(str(book)))
        return len(done)

    assert [tell("3 edited", 0), tell("3 edited", 60), tell("12,000 deleted", 120)] == [1, 0, 1]
    # As long as it stands it is told once a day, and a release does not mend it.
    book.succeeded("handbook")
    assert [tell("12,000 deleted", 180), tell("12,000 deleted", 130 + day), tell("3 edited", 140 + day)] == [0, 1, 1]
    book.succeeded("handbook", "attestation")
    assert tell("3 edited", 150 + day) == 0
    book.succeeded("handbook", "drift")
    assert tell("3 edited", 160 + day) == 1


def test_what_was_not_delivered_is_owed_to_that_receiver_alone(receiver: Received) -> None:
    to = [made(kind="webhook", url=f"{receiver.url}/a"), made(kind="webhook", url=f"{receiver.url}/b")]
    receiver.answers = [503, 503, 503]
    book = Book()
    assert [one.delivered for one in book.tell([ALERT], to, now=0)] == [False, True]
    book = Book.from_json(json.loads(str(book)))
    assert book.tell([], to, now=10) == []
    assert [one.delivered for one in book.tell([ALERT], to, now=31)] == [True]
    assert [path for path, _, _ in receiver.requests] == ["/a", "/a", "/a", "/b", "/a"]
    assert book.owed == []
    # Of somebody who is not told any more nothing is owed.
    receiver.answers = [503] * 3
    book = Book()
    book.tell([ALERT], to[:1], now=0)
    assert len(book.owed) == 1
    book.tell([], to[1:], now=1)
    assert book.owed == []


def test_filters_choose_datasets_and_events(receiver: Received) -> None:
    to = [
        made(kind="webhook", url=f"{receiver.url}/drift", events=["drift"]),
        made(kind="webhook", url=f"{receiver.url}/other", datasets=["other"]),
        made(kind="webhook", url=f"{receiver.url}/ours", datasets=["handbook"], events=["gate-failed"]),
    ]
    Book().tell([ALERT], to)
    assert [path for path, _, _ in receiver.requests] == ["/ours"]


@pytest.mark.parametrize(
    ("piece", "said"),
    [
        ("alerts: [{kind: slack, url: 'https://hooks.slack.com/x'}]", "the address of a Slack webhook is a secret"),
        ("alerts: [{kind: slack, url: '${env:S}', datasets: [other]}]", "other is not one of the datasets: handbook"),
        ("alerts: [{kind: webhook, url: 'http://h/', headers: {Authorization: abc}}]", "Authorization must be a reference"),
        ("alerts: [{url: 'http://h/'}]", "missing key kind"),
        ("alerts: [{kind: email, host: h, sender: a, to: [b], username: u, password: x}]", "must be a reference"),
        ("alerts: [{kind: email, host: h, sender: a, to: [b], username: u, password: '${env:P}', security: none}]", "clear"),
        ("automation: {enabled: [chnges]}", "enabled.0: must be changes, inbox"),
        ("automation: {schedules: {audit: 'at noon'}}", "a schedule has five fields"),
        ("automation: {schedules: {audit: '99 * * * *'}}", "schedules.audit: minute '99' is not within 0 to 59"),
        ("automation: {schedules: {timezone: Mars}}", "no such time zone"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(piece: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"vector_pipeline.yaml:\d+: environments.dev") as raised:
        with_piece(f"environments: {{dev: {{{piece}}}}}", tmp_path)
    assert said in str(raised.value)


def test_an_environment_says_key_by_key_what_runs_by_itself(tmp_path: Path) -> None:
    config = with_piece(
        """
datasets: {handbook: {automation: {inbox: drop, every_s: 9, schedules: {audit: '5 4 * * *'}}}}
environments: {dev: {automation: {enabled: [inbox, audit], schedules: {timezone: Europe/Berlin}}}}
""",
        tmp_path,
    )
    found = automation_of(config.datasets["handbook"], config.environments["dev"])
    assert (found.enabled, found.inbox, found.every_s) == (["inbox", "audit"], Path("drop"), 9)
    assert (found.schedules.audit, found.schedules.timezone) == ("5 4 * * *", "Europe/Berlin")
