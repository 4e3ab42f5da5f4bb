"""Every verb, in the order that help lists them: importing this module registers them."""

# isort: off
from vector_pipeline.cli import (
    adopting,
    alerting,
    asking,
    attesting,
    bridging,
    canaries,
    checking,
    ci,
    comparing,
    dev,
    drifting,
    expectations,
    moving,
    past,
    planning,
    provisioning,
    pushing,
    putting,
    reading,
    reembedding,
    reporting,
    retention,
    routing,
    sealing,
    serving,
    spaces,
    standing,
    starting,
    tracing,
    writing,
)
from vector_pipeline.cli.app import app
# isort: on

__all__ = [
    "adopting",
    "alerting",
    "app",
    "asking",
    "attesting",
    "bridging",
    "canaries",
    "checking",
    "ci",
    "comparing",
    "dev",
    "drifting",
    "expectations",
    "moving",
    "past",
    "planning",
    "provisioning",
    "pushing",
    "putting",
    "reading",
    "reembedding",
    "reporting",
    "retention",
    "routing",
    "sealing",
    "serving",
    "spaces",
    "standing",
    "starting",
    "tracing",
    "writing",
]

_ORDER = (
    "init", "check", "environment", "provision", "put", "build", "versions", "diff", "plan", "push", "verify", "report", "promote",
    "route", "rollback", "reembed", "status", "query", "serve", "compare", "documents", "history", "drift", "repair", "attest",
    "blame", "erase", "adopt", "alerts", "pin", "unpin", "expire", "collect", "seal",
)  # fmt: skip
app.registered_commands.sort(
    key=lambda command: _ORDER.index(command.name or getattr(command.callback, "__name__", ""))
)
