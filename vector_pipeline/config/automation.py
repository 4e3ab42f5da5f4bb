"""What starts runs by itself, and who is told when something goes wrong. Nothing of it is on until it is named in ``enabled``.

A dataset says how it is kept up to date; an environment may say otherwise, key by key: a laptop runs nothing by itself, production
does.
"""

import re
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, model_validator

from vector_pipeline.config.cron import cron
from vector_pipeline.config.fields import Model, Name, Url
from vector_pipeline.config.secrets import SecretTemplate

Automatic = Literal["changes", "inbox", "staging", "refresh", "audit", "attest", "expire", "collect"]
"""Everything that may start runs by itself."""
AlertEvent = Literal["run-failed", "gate-failed", "drift", "attestation", "not-loaded"]
"""What alerts tell of."""
_SECRET_HEADER = re.compile(r"auth|token|key|secret|cookie|signature", re.IGNORECASE)


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("no such time zone: write UTC, or a name such as Europe/Berlin") from None
    return value


Cron = Annotated[str, AfterValidator(cron)]
Timezone = Annotated[str, AfterValidator(_timezone)]


def _reference(value: SecretTemplate) -> SecretTemplate:
    if not value.names():
        raise ValueError("a secret must be a reference such as ${env:SMTP_PASSWORD}")
    return value


Secret = Annotated[SecretTemplate, AfterValidator(_reference)]


class SchedulesConfig(Model):
    """When what is enabled happens: cron expressions, in `timezone`."""

    refresh: Cron = "0 3 * * *"
    """The whole chain over every shard. Of a source that no sensor watches (a database), this is how changes come in."""
    audit: Cron = "17 * * * *"
    """The drift audit of what production serves, as deep as `drift.audit_level` says."""
    attest: Cron = "41 3 * * *"
    """Golden texts and a sample of what production serves, embedded again."""
    expire: Cron = "30 4 * * *"
    """Forget versions and states of the lake that `retention` does not keep."""
    collect: Cron = "45 4 * * *"
    """Delete records, namespaces and files that nothing needs any more."""
    timezone: Timezone = "UTC"
    """Of the expressions above."""


class AutomationConfig(Model):
    """What starts runs by itself. What is not enabled can still be turned on in Dagster, by hand."""

    enabled: list[Automatic] = []
    """``changes``: a change of the source is released. ``inbox``: files dropped there are taken in and released. ``staging``: a
    finished version goes to staging by itself. ``refresh``, ``audit``, ``attest``, ``expire``, ``collect``: on their schedules.
    """
    every_s: int = Field(default=5, ge=1)
    """Seconds between two looks at source and inbox. A look lists; it opens no file, no lake and no model."""
    inbox: Path | None = None
    """Folder whose files are moved into the source; not inside of it, and no other dataset's. What cannot become a document is put
    aside there, with why. Default, where ``inbox`` is enabled: ``inbox/`` and the dataset's name.
    """
    settle_s: float = Field(default=2, ge=0)
    """A file is taken from the inbox when nobody has written to it for so many seconds."""
    schedules: SchedulesConfig = SchedulesConfig()
    """When what is enabled happens."""


class _Alert(Model):
    datasets: list[Name] = []
    """Datasets that it tells of; default: all."""
    events: list[AlertEvent] = []
    """``run-failed``, ``gate-failed``, ``drift``, ``attestation``, ``not-loaded``: what it tells of; default: everything."""
    timeout_s: float = Field(default=5, gt=0, le=20)
    """Seconds that the other side may be silent, each time that it is tried; all tries together take 15 s at most."""


class WebhookAlertConfig(_Alert):
    """An alert as JSON, by HTTP POST."""

    kind: Literal["webhook"]
    """As JSON to any address."""
    url: Url
    """Where it is posted to; what is secret in it by reference: ``${env:NAME}``."""
    headers: dict[str, SecretTemplate] = {}
    """Sent along. The value of one that is a secret (``Authorization``) is a reference: ``Bearer ${env:NAME}``."""

    @model_validator(mode="after")
    def _headers_are_references(self) -> "WebhookAlertConfig":
        for name, value in self.headers.items():
            if _SECRET_HEADER.search(name) and not value.names():
                raise ValueError(f"the value of header {name} must be a reference such as ${{env:ALERT_TOKEN}}")
        return self


class SlackAlertConfig(_Alert):
    """An alert in Slack's format: its incoming webhooks, and what takes the same (Mattermost, Discord's ``/slack``)."""

    kind: Literal["slack"]
    """As a message to a channel."""
    url: Url
    """The webhook's address. It is a secret as a whole: ``${env:SLACK_WEBHOOK}``."""

    @model_validator(mode="after")
    def _address_is_secret(self) -> "SlackAlertConfig":
        if not self.url.names():
            raise ValueError("the address of a Slack webhook is a secret: write `url: ${env:SLACK_WEBHOOK}`")
        return self


class EmailAlertConfig(_Alert):
    """An alert as a mail, by SMTP."""

    kind: Literal["email"]
    """As a mail."""
    host: str
    """The server that takes mail."""
    port: int = Field(default=587, ge=1, le=65535)
    """587 for ``starttls``, 465 for ``tls``, 25 for ``none``, usually."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """``none`` sends in clear text, and no password."""
    username: str | None = None
    """Account that sends; default: the server asks for none."""
    password: Secret | None = None
    """By reference: ``${env:SMTP_PASSWORD}``."""
    sender: str
    """Address that it comes from."""
    to: list[str] = Field(min_length=1)
    """Addresses that it goes to."""

    @model_validator(mode="after")
    def _no_password_in_clear(self) -> "EmailAlertConfig":
        if self.security == "none" and self.password is not None:
            raise ValueError("`security: none` would send the password in clear text: use starttls or tls")
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together")
        return self


AlertConfig = Annotated[WebhookAlertConfig | SlackAlertConfig | EmailAlertConfig, Field(discriminator="kind")]
