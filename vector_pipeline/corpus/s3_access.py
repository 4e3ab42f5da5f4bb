"""The one owner of boto3: where S3 is, with which credentials, and what its errors mean.

Laws
----
1. Of endpoint, region and credentials each comes from the configuration, else from what was given (``S3Given``), else from the AWS
   environment as boto3 finds it.
2. No foreign exception leaves this file, and no message holds a key.
3. Requests that S3 did not answer, or answered with "later", are repeated by botocore; what remains is told.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from vector_pipeline.config import S3Config, SecretTemplate, scrub
from vector_pipeline.errors import ConfigError, UnavailableError, VectorPipelineError

ATTEMPTS = 5
_CONNECT_S, _READ_S = 10, 60
_KEYS = frozenset(
    ("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "ExpiredTokenException", "InvalidToken",
     "TokenRefreshRequired", "InvalidClientTokenId", "AuthFailure", "UnrecognizedClientException")
)  # fmt: skip
_REGION = frozenset(("PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"))
_DENIED = frozenset(("AccessDenied", "403", "AllAccessDisabled", "AccountProblem"))
_KEYS_FIX = (
    "Set the AWS environment (AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY), or give the machine a role"
)
_SIGN_IN_FIX = "Sign in again: `aws sso login` (or `aws login`), with the profile that is used here"


@dataclass(frozen=True, slots=True)
class Keys:
    """Credentials as they are now; temporary ones end."""

    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A service that is not Amazon's own."""

    host: str
    """With its port."""
    use_ssl: bool


class S3Access:
    """How one section of the configuration reaches S3. Opens nothing until it is asked."""

    def __init__(self, config: S3Config) -> None:
        self.config = config
        self._session: Any = None

    @property
    def session(self) -> Any:
        """boto3's session. ``ConfigError`` where boto3, a profile or a variable is missing."""
        if self._session is None:
            try:
                import boto3  # type: ignore[import-untyped]
                from botocore.exceptions import BotoCoreError  # type: ignore[import-untyped]
            except ModuleNotFoundError:
                raise ConfigError("S3 is reached with boto3, which is not installed", fix="pip install boto3") from None
            config, given = self.config, self.config.given
            keys = (config.access_key_id, config.secret_access_key, config.session_token)
            own = any(keys) or config.profile is not None
            values = [_resolved(one) for one in keys] if own else [
                given.access_key_id, given.secret_access_key, given.session_token
            ]  # fmt: skip
            try:
                self._session = boto3.Session(
                    *values,
                    region_name=config.region or given.region or os.environ.get("AWS_REGION"),
                    profile_name=config.profile or (None if own else given.profile),
                )
            except BotoCoreError as error:
                raise told(error, "S3", self.config) from None
        return self._session

    @property
    def anonymous(self) -> bool:
        return self.config.anonymous or (self.config.given.anonymous and self.config.access_key_id is None)

    @contextmanager
    def client(self, where: str) -> Iterator[Any]:
        """A client for any number of threads, closed at the end. What goes wrong inside comes out as an error about ``where``."""
        session = self.session
        from botocore import UNSIGNED  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]
        from botocore.exceptions import BotoCoreError, ClientError

        style = {None: "auto", True: "path", False: "virtual"}[self._path_style()]
        options = {
            "retries": {"mode": "standard", "total_max_attempts": ATTEMPTS},
            "connect_timeout": _CONNECT_S,
            "read_timeout": _READ_S,
            "max_pool_connections": 64,
            "s3": {"addressing_style": style},
            **({"signature_version": UNSIGNED} if self.anonymous else {}),
        }
        try:
            client = session.client("s3", endpoint_url=self._named_endpoint(), config=Config(**options))
        except (BotoCoreError, ClientError, ValueError) as error:
            raise told(error, where, self.config) from None
        try:
            yield client
        except (BotoCoreError, ClientError) as error:
            raise told(error, where, self.config) from None
        finally:
            client.close()

    def keys(self, where: str) -> Keys | None:
        """Credentials as they are now, renewed where they are about to end; None where nothing is signed."""
        if self.anonymous:
            return None
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self.session.get_credentials()
            frozen = None if found is None else found.get_frozen_credentials()
        except (BotoCoreError, ClientError) as error:
            # A role is renewed by asking STS, which answers, and may say no.
            raise told(error, where, self.config) from None
        if frozen is None or not frozen.access_key:
            raise ConfigError(f"{where}: there are no AWS credentials", fix=_KEYS_FIX)
        return Keys(frozen.access_key, frozen.secret_key, frozen.token)

    @property
    def temporary(self) -> bool:
        """Whether the credentials end by themselves, and are renewed by boto3."""
        return not self.anonymous and hasattr(self.session.get_credentials(), "refresh_needed")

    def place(self, where: str) -> tuple[Endpoint | None, str, bool]:
        """Endpoint (None: Amazon's), region, and whether buckets are addressed by path."""
        with self.client(where) as client:
            url, region = str(client.meta.endpoint_url), str(client.meta.region_name or "us-east-1")
        parts = urlsplit(url)
        amazon = (parts.hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))
        by_path = not amazon if self._path_style() is None else bool(self._path_style())
        if not by_path and parts.hostname in ("s3.amazonaws.com", f"s3.{region}.amazonaws.com"):
            return None, region, False
        return Endpoint(parts.netloc, parts.scheme == "https"), region, by_path

    def _named_endpoint(self) -> str | None:
        if self.config.endpoint is not None:
            return self.config.endpoint.resolve()
        return self.config.given.endpoint

    def _path_style(self) -> bool | None:
        """None: as Amazon has it. Services of others rarely have a name in DNS for each bucket."""
        if self.config.path_style is not None:
            return self.config.path_style
        named = self._named_endpoint() or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        return True if named else None


def refusals() -> type[Exception]:
    """What botocore raises when S3 answered, and said no: for ``except``."""
    from botocore.exceptions import ClientError

    refused: type[Exception] = ClientError
    return refused


def code_of(error: Exception) -> str:
    """S3's own code of a refusal, such as ``NoSuchKey``; empty for what is none."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def told(error: Exception, where: str, config: S3Config) -> VectorPipelineError:
    """Our error for one of botocore's."""
    code, name = code_of(error), type(error).__name__
    said = clean(" ".join(str(error).split())[:300], config)
    if code == "NoSuchBucket":
        return ConfigError(f"{where}: there is no such bucket", fix="Make it, or correct its name")
    if code in _DENIED:
        return ConfigError(
            f"{where}: S3 refuses: {said}", fix="Allow it to this user or role, see docs/s3-and-postgresql.md"
        )
    if code in _KEYS:
        return ConfigError(f"{where}: S3 does not take the credentials ({code})", fix=_KEYS_FIX)
    if code in _REGION:
        return ConfigError(f"{where}: the bucket is in another region ({code})", fix="Set `region:`, or AWS_REGION")
    if _signed_out(error):
        return ConfigError(f"{where}: {said.rstrip('.')}", fix=_SIGN_IN_FIX)
    if name in ("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"):
        return ConfigError(f"{where}: {said.rstrip('.')}", fix=_KEYS_FIX)
    if isinstance(error, ValueError) or name == "NoRegionError":
        return ConfigError(f"{where}: {said.rstrip('.')}", fix="Correct `endpoint:` and `region:`")
    return UnavailableError(
        f"{where} does not answer: {said}", fix="Check the network and the endpoint, then try again"
    )


def _signed_out(error: Exception) -> bool:
    """Whether a person's sign-in has ended: asking again does not help."""
    from botocore import exceptions

    ended = ("SSOError", "TokenRetrievalError", "NoAuthTokenError", "LoginError")
    # Newer versions of botocore have more of them.
    return isinstance(error, tuple(getattr(exceptions, name) for name in ended if hasattr(exceptions, name)))


def _resolved(template: SecretTemplate | None) -> str | None:
    return None if template is None else template.resolve()


def clean(text: str, config: S3Config) -> str:
    """``text`` without what the templates resolve to and without what was given."""
    given = config.given
    for one in (given.secret_access_key, given.session_token, given.access_key_id):
        text = text.replace(one, "***") if one else text
    named = (config.access_key_id, config.secret_access_key, config.session_token, config.endpoint)
    return scrub(text, *(one for one in named if one is not None))
