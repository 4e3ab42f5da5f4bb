"""To the other side: HTTP and SMTP, tried again while that may help, and not beyond a deadline: timeouts of sockets are per read,
and whoever sends a byte now and then never meets one.

What resolves to a secret is known here alone, for as long as a request takes.
"""

import json
import logging
import smtplib
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, stop_after_delay, wait_exponential_jitter

from vector_pipeline.alerts import formats
from vector_pipeline.alerts.alert import Alert
from vector_pipeline.config.automation import AlertConfig, EmailAlertConfig, SlackAlertConfig, WebhookAlertConfig
from vector_pipeline.config.secrets import SecretTemplate, scrub
from vector_pipeline.errors import ConfigError, UnavailableError, VectorPipelineError

_LOG = logging.getLogger(__name__)
TRIES = 3
"""Of one delivery, one after another."""
DEADLINE_S = 15.0
"""Most that one delivery may take, with all tries: Dagster gives a sensor's tick up after 60 s, and forgets what it told."""
_TRANSIENT_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})
_AGENT = "vector-pipeline"


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of an alert on its way to one receiver."""

    receiver: str
    """Kind and address, without secrets."""
    delivered: bool
    said: str = ""
    """Why not, in one line, without secrets."""
    later: bool = False
    """Whether it may work later."""


class _Refused(VectorPipelineError):
    """The other side will not take it, however often it is asked."""

    kind = "refused"


def wants(receiver: AlertConfig, alert: Alert) -> bool:
    """Whether a receiver's filters let an alert through."""
    return (not receiver.datasets or alert.dataset in receiver.datasets) and (
        not receiver.events or alert.event in receiver.events
    )


def named(receiver: AlertConfig) -> str:
    """A receiver for people: ``slack ${env:SLACK_WEBHOOK}``, ``email ops@example.com``."""
    if isinstance(receiver, EmailAlertConfig):
        return f"email {', '.join(receiver.to)}"
    return f"{receiver.kind} {scrub(str.__str__(receiver.url))}"


def deliver(alert: Alert, receiver: AlertConfig, *, tries: int = TRIES, deadline_s: float = DEADLINE_S) -> Delivery:
    """Deliver an alert to one receiver. Never raises for what the other side does; it is in the result, and logged.

    It returns by the deadline (seconds); what was sent by then may arrive all the same.
    """
    name, found = named(receiver), Future[None]()
    again = Retrying(
        stop=stop_after_attempt(tries) | stop_after_delay(deadline_s),
        wait=wait_exponential_jitter(multiplier=0.25, max=2, jitter=0.25),
        retry=retry_if_exception_type(UnavailableError), reraise=True,
    )  # fmt: skip
    until = time.monotonic() + deadline_s

    def send() -> None:
        try:
            again(_send, alert, receiver, until)
        except BaseException as error:  # noqa: BLE001  raised again by whoever waits
            found.set_exception(error)
        else:
            found.set_result(None)

    # A daemon: nobody waits at the end of the process for an other side that is given up.
    threading.Thread(target=send, name="alert", daemon=True).start()
    try:
        found.result(timeout=deadline_s)
    except TimeoutError:
        return _not_delivered(name, f"it did not answer within {deadline_s:g} s", later=True)
    except (UnavailableError, ConfigError, _Refused) as error:
        return _not_delivered(name, str(error), later=not isinstance(error, _Refused))
    return Delivery(name, True)


def _not_delivered(name: str, said: str, *, later: bool) -> Delivery:
    _LOG.warning("an alert was not delivered to %s: %s", name, said)
    return Delivery(name, False, said, later=later)


def _send(alert: Alert, receiver: AlertConfig, until: float) -> None:
    # Of a later try less is left.
    timeout_s = max(0.01, min(receiver.timeout_s, until - time.monotonic()))
    if isinstance(receiver, EmailAlertConfig):
        _mail(alert, receiver, timeout_s)
    else:
        _post(alert, receiver, timeout_s)


def _post(alert: Alert, receiver: WebhookAlertConfig | SlackAlertConfig, timeout_s: float) -> None:
    form: Callable[[Alert], dict[str, Any]] = (
        formats.slack if isinstance(receiver, SlackAlertConfig) else formats.webhook
    )
    templates = dict(receiver.headers) if isinstance(receiver, WebhookAlertConfig) else {}
    headers = {name: value.resolve() for name, value in templates.items()}
    secrets: tuple[str, ...] = (receiver.url, *templates.values())
    try:
        request = urllib.request.Request(
            receiver.url.resolve_url(), json.dumps(form(alert)).encode(), method="POST",
            headers={"Content-Type": "application/json; charset=utf-8", "User-Agent": _AGENT, **headers},
        )  # fmt: skip
        if request.type not in ("http", "https"):
            raise _Refused("the address is neither http nor https", fix="Correct `url:` of the alert")
        with _OPENER.open(request, timeout=timeout_s) as answer:
            answer.read(1)
    except urllib.error.HTTPError as error:
        with error:
            said = f"it answered {error.code} {error.reason}"
        kind = UnavailableError if error.code in _TRANSIENT_STATUS else _Refused
        raise kind(_clean(said, *secrets), fix="Check `url:` and `headers:` of the alert") from None
    except (OSError, HTTPException, ValueError) as error:
        # URLError is an OSError; a header or an address that cannot be sent is a ValueError.
        said = _clean(str(getattr(error, "reason", error)) or type(error).__name__, *secrets)
        raise UnavailableError(f"it cannot be reached: {said}", fix="Check `url:` of the alert") from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A POST that is redirected would become a GET: the alert would be lost, and its headers sent to somebody else."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirects)


def _mail(alert: Alert, receiver: EmailAlertConfig, timeout_s: float) -> None:
    message = formats.mail(alert, sender=receiver.sender, to=receiver.to)
    password = None if receiver.password is None else receiver.password.resolve()
    secrets = () if receiver.password is None else (receiver.password,)
    try:
        with _connected(receiver, timeout_s) as server:
            if receiver.username is not None and password is not None:
                server.login(receiver.username, password)
            refused = server.send_message(message)
    except (smtplib.SMTPAuthenticationError, smtplib.SMTPRecipientsRefused, smtplib.SMTPSenderRefused) as error:
        codes = (
            [code for code, _ in error.recipients.values()]
            if isinstance(error, smtplib.SMTPRecipientsRefused)
            else [error.smtp_code]
        )
        kind = UnavailableError if all(400 <= code < 500 for code in codes) else _Refused
        said = _clean(f"{receiver.host} refused the mail: {error}", *secrets)
        raise kind(said, fix="Check the alert's username, sender and to") from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        said = _clean(f"{receiver.host}:{receiver.port}: {error or type(error).__name__}", *secrets)
        raise UnavailableError(said, fix="Check host, port and security of the alert") from None
    if refused:
        raise _Refused(
            f"{receiver.host} took the mail, but not for {', '.join(refused)}", fix="Correct `to:` of the alert"
        )


def _connected(receiver: EmailAlertConfig, timeout_s: float) -> smtplib.SMTP:
    if receiver.security == "tls":
        return smtplib.SMTP_SSL(receiver.host, receiver.port, timeout=timeout_s, context=ssl.create_default_context())
    server = smtplib.SMTP(receiver.host, receiver.port, timeout=timeout_s)
    if receiver.security == "starttls":
        try:
            server.starttls(context=ssl.create_default_context())
        except (OSError, smtplib.SMTPException):
            server.close()
            raise
    return server


def _clean(text: str, *secrets: str) -> str:
    # A template's address may be secret as a whole: then what is left of it says nothing either.
    return " ".join(scrub(text, *(SecretTemplate(one) for one in secrets)).split())[:300]
