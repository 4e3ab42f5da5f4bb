"""An alert in the form that the other side wants: plain values, no I/O.

Slack's message format: https://docs.slack.dev/messaging/formatting-message-text (``&``, ``<`` and ``>`` are escaped, a text
block has 3,000 characters at most).
"""

from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

from vector_pipeline.alerts.alert import Alert
from vector_pipeline.report.words import legible

FORMAT = 1
"""Of the webhook's JSON: raised when a key changes its meaning. Keys are only added."""
_TEXT = 2900


def webhook(alert: Alert) -> dict[str, Any]:
    """The JSON of a plain webhook."""
    return {
        "format": FORMAT,
        "source": "vector-pipeline",
        "event": alert.event,
        "dataset": alert.dataset,
        "environment": alert.environment,
        "version": alert.version,
        "what": alert.what,
        "fix": alert.fix or None,
        "gates": list(alert.gates),
        "owners": list(alert.owners),
        "run": {"id": alert.run_id or None, "url": alert.run_url or None},
        "report": alert.report or None,
        "next": alert.command or None,
        "at": alert.at,
        "key": alert.key,
        "text": alert.line,
    }


def slack(alert: Alert) -> dict[str, Any]:
    """The JSON of Slack's incoming webhooks; ``text`` is what notifications and other programs show."""
    run = (
        f"<{alert.run_url}|run {alert.run_id[:8]}>"
        if alert.run_url
        else f"run {alert.run_id[:8]}"
        if alert.run_id
        else ""
    )
    small = [
        run,
        f"report `{_escaped(alert.report)}`" if alert.report else "",
        f"`{_escaped(alert.command)}`" if alert.command else "",
        f"owners: {_escaped(', '.join(alert.owners))}" if alert.owners else "",
    ]
    body = f"*{_escaped(alert.subject)}*\n{_escaped(alert.what)}" + (f"\n{_escaped(alert.fix)}" if alert.fix else "")
    blocks: list[dict[str, Any]] = [{"type": "section", "text": {"type": "mrkdwn", "text": body[:_TEXT]}}]
    said = "  ·  ".join(one for one in small if one)
    if said:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": said[:_TEXT]}]})
    return {"text": _escaped(alert.line)[:_TEXT], "blocks": blocks}


def _escaped(text: str) -> str:
    plain: str = legible(text)
    return plain.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mail(alert: Alert, *, sender: str, to: list[str]) -> EmailMessage:
    """A plain text mail."""
    message = EmailMessage()
    message["Subject"] = " ".join(legible(alert.subject).split())
    message["From"], message["To"] = sender, ", ".join(to)
    message["Date"], message["Message-ID"] = formatdate(), make_msgid(domain=sender.rpartition("@")[2] or None)
    # Programs that answer mail by themselves leave this one alone (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    rows = {
        "": "\n".join(one for one in (alert.what, alert.fix) if one),
        "Dataset": f"{alert.dataset} (environment {alert.environment})",
        "Owners": ", ".join(alert.owners),
        "Version": "" if alert.version is None else str(alert.version),
        "Gates": ", ".join(alert.gates),
        "Run": alert.run_url or alert.run_id,
        "Report": alert.report,
        "Next": alert.command,
        "At": alert.at,
    }
    lines = [f"{name}: {value}" if name else f"{value}\n" for name, value in rows.items() if value]
    message.set_content(legible("\n".join(lines)) + "\n")
    return message
