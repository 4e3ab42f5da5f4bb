"""Secrets by reference: ``${env:NAME}`` in a value, resolved only at the moment of use.

A ``SecretTemplate`` prints as its template, so a configuration may be shown, logged and stored as it is. What a library
says about a connection may hold the resolved value: ``scrub`` such text before it becomes part of a message.
"""

import os
import re
from typing import Any
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from vector_pipeline.errors import ConfigError

_REFERENCE = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
# Stands for a resolved value while a template is taken apart: no such character stands in a URL that works.
_STAND_IN = "\ue000"
_PASSWORD = re.compile(r"^[^:/?#]*://[^:/@]*:([^@]*)@")
"""The password as SQLAlchemy finds it, which is also where a person would put one with a slash in it."""
_SECRET_KEYS = (
    "password",
    "sslpassword",
    "passwd",
    "oauth_client_secret",
    "scram_client_key",
    "scram_server_key",
    "secret_access_key",
    "session_token",
)
"""Settings of a connection that are secrets. Not ``passfile`` and ``sslkey``: they are paths."""
_MASK = "***"
_IN_ADDRESS = re.compile(r"(?<=://)([^\s:/@'\"]*):[^\s]*@")
"""The password, up to the last @: one that was never quoted may hold any sign."""
_TOKEN_IN_ADDRESS = re.compile(r"(?<=https://)[^\s:/?#@]+@|(?<=http://)[^\s:/?#@]+@", re.IGNORECASE)
"""A name alone in front of a web server is a token: nobody logs in there without a password."""
_NAMES = r"""(?:(?:api|access|private|account|shared)[ _-]?|[_-])key|(?<![A-Za-z])key(?==)|token|secret|passw(?:or)?d|pwd
    |passphrase|signature|credential|authorization"""
_IN_SETTING = re.compile(
    rf"""((?:{_NAMES})["']?\s*[=:]\s*)
    (?!["'`]?\$\{{env:|`(?:\W|$))                    # a template, or our own words about a setting
    (?:'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"|(?:(?:Bearer|Basic|Token)\s+)?(?:[^\s&'"]|['"](?=[\w%/+=-]))+)""",
    re.IGNORECASE | re.VERBOSE,
)
_BEARER = re.compile(r"\b(Bearer\s+)(?!\*\*\*|\$\{env:)(?:(?=\S*[\d_.-])[^\s'\"]{6,}|[^\s'\"]{16,})", re.IGNORECASE)
_SHORT = 4


class SecretTemplate(str):
    """A string that may hold ``${env:NAME}`` references. ``resolve`` fills them in; ``str`` shows the template."""

    __slots__ = ()

    def names(self) -> list[str]:
        """Environment variables that the template names."""
        return _REFERENCE.findall(self)

    def resolve(self) -> str:
        """The value, for the library that needs it: never log it. ``ConfigError`` names a variable that is not set."""
        self._check()
        return _REFERENCE.sub(lambda match: os.environ[match.group(1)], self)

    def resolve_url(self) -> str:
        """The value of a URL: what stands for a user, password, database or setting is percent-quoted.

        A whole URL, host or port by reference stays as it is, and so does a path of a file: nobody unquotes those.
        """
        self._check()
        if self.startswith("sqlite:"):
            return self.resolve()
        skeleton = _REFERENCE.sub(_STAND_IN, self)
        start = skeleton.find("://")
        if start < 0:
            return self.resolve()
        # The host ends at the first slash after the last @ before the query.
        query = _index(skeleton, "?", start)
        host = max(skeleton.rfind("@", start, query), start + 2) + 1
        after_host = min(_index(skeleton, "/", host), query)
        names = iter(self.names())
        parts = [
            character
            if character != _STAND_IN
            else _filled(os.environ[next(names)], raw=at < start or host <= at < after_host)
            for at, character in enumerate(skeleton)
        ]
        return "".join(parts)

    def _check(self) -> None:
        missing = [name for name in self.names() if name not in os.environ]
        if missing:
            raise ConfigError(f"environment variable {missing[0]} is not set", fix=f"export {missing[0]}=…")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(
            cls, core_schema.str_schema(), serialization=core_schema.plain_serializer_function_ser_schema(str.__str__)
        )


def check_url(url: str) -> str:
    """Validator for URLs: it is one, and a password in it is a reference. No message repeats the value."""
    skeleton = _REFERENCE.sub(_STAND_IN, url)
    if skeleton == _STAND_IN:
        return url
    # Before the URL is taken apart: one that cannot be may hold a password all the same.
    for password in _passwords(skeleton):
        if password.strip(_STAND_IN):
            raise ValueError("a password in a URL must be a reference such as ${env:DATABASE_PASSWORD}")
    try:
        parts = urlsplit(skeleton)
        if _STAND_IN not in parts.netloc:
            _ = parts.port
    except ValueError:
        parts = None
    if parts is None or not parts.scheme or "://" not in skeleton or any(c.isspace() for c in parts.netloc):
        raise ValueError(
            "not a URL: write sqlite:///path or postgresql://user:${env:PASSWORD}@host/database; of a server, http://host:port"
        )
    return url


def scrub(text: str, *urls: str) -> str:
    """``text`` without secrets: what the templates resolve to, the passwords in plain URLs, and whatever looks like one: in an
    address, after the name of a setting, of a header or of a part of a query, or behind ``Bearer``. Rather too much
    than too little.

    Values are found as they are, percent-quoted and with doubled quotes. Never raises: a variable that is not set has no
    value that could be shown.
    """
    values: set[str] = set()
    for url in urls:
        values |= _values(url)
    forms = {form for value in values for form in _forms(value)}
    for form in sorted(forms, key=len, reverse=True):
        # A short value occurs inside other words: only where it stands alone is it the secret.
        pattern = re.escape(form) if len(form) >= _SHORT else rf"(?<!\w){re.escape(form)}(?!\w)"
        text = re.sub(pattern, _MASK, text)
    text = _IN_ADDRESS.sub(rf"\1:{_MASK}@", text)
    text = _TOKEN_IN_ADDRESS.sub(f"{_MASK}@", text)
    text = _IN_SETTING.sub(rf"\1{_MASK}", text)
    return _BEARER.sub(rf"\1{_MASK}", text)


def refuse_secrets(address: str) -> str:
    """Validator for an address that takes no references, such as ``s3://…``: it holds no password and no key."""
    if _passwords(address):
        raise ValueError("a secret does not belong here: give it by the environment, such as AWS_SECRET_ACCESS_KEY")
    return address


def _values(url: str) -> set[str]:
    if not isinstance(url, SecretTemplate):
        return set(_passwords(url))
    if url.startswith("sqlite:"):
        return set()
    found = {os.environ[name] for name in url.names() if name in os.environ}
    return found | {password for value in found for password in _passwords(value)}


def _passwords(url: str) -> list[str]:
    """Passwords in a URL, unquoted: the one before the host, and those among the settings."""
    before_host = _PASSWORD.match(url)
    settings = parse_qsl(url.partition("?")[2], keep_blank_values=True)
    found = [unquote(before_host.group(1))] if before_host else []
    return [value for value in (*found, *(v for key, v in settings if _is_secret(key))) if value]


def _is_secret(setting: str) -> bool:
    # DuckDB writes s3_secret_access_key.
    return setting.strip().lower().removeprefix("s3_") in _SECRET_KEYS


def _forms(value: str) -> set[str]:
    doubled = {value.replace("'", "''"), value.replace("\\", "\\\\").replace("'", "\\'")}
    return {form for form in (value, quote(value), quote(value, safe=""), quote_plus(value), *doubled) if form}


def _filled(value: str, *, raw: bool) -> str:
    return value if raw else quote(value, safe="")


def _index(text: str, character: str, start: int) -> int:
    at = text.find(character, start)
    return len(text) if at < 0 else at
