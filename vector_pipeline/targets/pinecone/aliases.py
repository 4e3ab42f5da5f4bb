"""Pinecone's namespace aliases: movable names of its own, one list an index. The SDK has no method for them: plain REST.

Laws
----
1. Pointing a name and dropping one are idempotent as requests: what was lost on the way is sent again.
2. A service that does not have them (404 or 501 on the list) is remembered for as long as this object lives, and said once.
3. A name lives in one of our indexes at a time: it is made in the new one before it is dropped from the old, so that no reader
   of both finds none.
4. Whatever goes wrong is one of our errors: an answer that cannot be read, or is no JSON object, is ``UnavailableError``.
5. A reason is read from the answer's ``details[0].reason``, never from its message.

Source: https://docs.pinecone.io/guides/manage-data/namespace-aliases (API 2026-07, looked up 2026-11).
"""

import logging
from collections.abc import Collection
from typing import Any
from urllib.parse import quote

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_exponential_jitter

from vector_pipeline.errors import ConfigError, RefusedError, UnavailableError, VectorPipelineError

API_VERSION = "2026-07"
_PATH = "/namespace-aliases"
_MOST_RETRY_S = 20.0
"""Readers do not wait for these names: nor does a promotion, for longer."""
_BUSY = frozenset({408, 425, 429, *(status for status in range(500, 600) if status != 501)})
_ABSENT = frozenset({404, 405, 501})
_LOG = logging.getLogger(__name__)


class _BusyError(Exception):
    """Refused for the moment, or nobody answered."""


class _AbsentError(Exception):
    """The service has no such route."""


class NamespaceAliases:
    """The names of all indexes of one target. ``host``: an index's, with or without ``https://``.

    Every method raises from ``vector_pipeline.errors``; no message holds the key. Threads may share it.
    """

    def __init__(self, target: str, api_key: str, *, timeout_s: float = 30.0, retry_s: float = _MOST_RETRY_S) -> None:
        self._target, self._timeout_s = target, timeout_s
        self._retry_s = min(retry_s, _MOST_RETRY_S)
        self._headers = {"Api-Key": api_key, "X-Pinecone-Api-Version": API_VERSION}
        self._client: httpx.Client | None = None
        self.offered = True
        """False once the service was found not to have them (law 2)."""

    def point(self, alias: str, namespace: str, *, host: str, others: Collection[str] = ()) -> None:
        """Let ``alias`` point at ``namespace`` of the index ``host``, and exist in none of ``others`` (law 3).

        ``RefusedError`` where the namespace does not exist, or a namespace has the alias's name. Does nothing where the service
        has no such names (law 2).
        """
        try:
            there = self._listed(host)
            if there.get(alias) != namespace:
                self._set(host, alias, namespace, known=alias in there)
        except _AbsentError:
            self._absent()
            return
        for other in others:
            if other != host:
                self.drop(alias, hosts=[other])

    def drop(self, alias: str, *, hosts: Collection[str]) -> None:
        """Delete the name from every index. What does not exist is no error."""
        for host in hosts if self.offered else ():
            answer = self._send("DELETE", host, f"{_PATH}/{quote(alias, safe='')}")
            if answer.status_code not in _ABSENT and not (answer.is_success and not answer.content):
                self._checked(answer, f"drop alias {alias}")

    def names(self, hosts: Collection[str]) -> dict[str, str]:
        """Every name of the indexes and the namespace that it points at; empty where the service does not have them."""
        found: dict[str, str] = {}
        try:
            for host in hosts:
                found |= self._listed(host)
        except _AbsentError:
            self._absent()
        return found

    def targeting(self, namespace: str, *, host: str) -> list[str]:
        """The names that point at a namespace: what keeps it from being dropped (``NAMESPACE_TARGETED_BY_ALIAS``)."""
        return sorted(name for name, place in self.names([host]).items() if place == namespace)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _absent(self) -> None:
        """Law 2."""
        if self.offered:
            self.offered = False
            _LOG.warning(
                "target %s: the service has no namespace aliases; ours serve readers all the same", self._target
            )

    def _listed(self, host: str) -> dict[str, str]:
        if not self.offered:
            raise _AbsentError
        found: dict[str, str] = {}
        token: str | None = None
        while True:
            answer = self._send(
                "GET", host, _PATH, params={"limit": 100, **({"paginationToken": token} if token else {})}
            )
            if answer.status_code in _ABSENT:
                raise _AbsentError
            body = self._checked(answer, "list namespace aliases")
            try:
                found |= {one["name"]: one["target_namespace"] for one in body.get("namespace_aliases") or ()}
                token = (body.get("pagination") or {}).get("next")
            except (AttributeError, KeyError, TypeError):
                raise self._senseless("list namespace aliases") from None
            if not token:
                return found

    def _set(self, host: str, alias: str, namespace: str, *, known: bool) -> None:
        """Move it where it is known, else make it; whichever turns out wrong, because another moved it meanwhile, the other way."""
        what = f"point alias {alias} at {namespace}"
        for moves in (known, not known):
            if moves:
                answer = self._send(
                    "PATCH", host, f"{_PATH}/{quote(alias, safe='')}", json={"target_namespace": namespace}
                )
                other_way = answer.status_code == 404 and reason_of(answer) != "TARGET_NAMESPACE_NOT_FOUND"
            else:
                answer = self._send("POST", host, _PATH, json={"name": alias, "target_namespace": namespace})
                other_way = answer.status_code == 409 and reason_of(answer) == "ALIAS_ALREADY_EXISTS"
            if not other_way:
                break
        self._checked(answer, what)

    def _send(self, method: str, host: str, path: str, **more: Any) -> httpx.Response:
        """One answer, whatever it says, but for those that mean "later" (law 1)."""
        if self._client is None:
            self._client = httpx.Client(headers=self._headers, timeout=self._timeout_s)
        client, url = self._client, (host if "://" in host else f"https://{host}").rstrip("/") + path

        def once() -> httpx.Response:
            try:
                answer = client.request(method, url, **more)
            except httpx.HTTPError as error:
                raise _BusyError(type(error).__name__) from None
            if answer.status_code in _BUSY:
                raise _BusyError(f"HTTP {answer.status_code}")
            return answer

        again = Retrying(
            retry=retry_if_exception_type(_BusyError),
            stop=stop_after_delay(self._retry_s),
            wait=wait_exponential_jitter(multiplier=0.05, max=2.0, jitter=0.1),
            reraise=True,
        )
        try:
            return again(once)
        except _BusyError as error:
            raise UnavailableError(
                f"target {self._target}: namespace aliases do not answer ({error})", fix="Try again later"
            ) from None

    def _checked(self, answer: httpx.Response, what: str) -> dict[str, Any]:
        """The body of an answer, or the error that it is."""
        if answer.is_success:
            body = _json(answer)
            if not isinstance(body, dict):
                raise self._senseless(what)
            return body
        raise self._refusal(answer, what)

    def _senseless(self, what: str) -> UnavailableError:
        return UnavailableError(
            f"target {self._target}: cannot {what}: the answer makes no sense",
            fix="Is the target's `host:` right, and what stands between?",
        )

    def _refusal(self, answer: httpx.Response, what: str) -> VectorPipelineError:
        where, status, reason = f"target {self._target}: cannot {what}", answer.status_code, reason_of(answer)
        if status == 401:
            return ConfigError(f"{where}: the API key is not accepted", fix="Set the right key in the environment")
        fix = _REMEDIES.get(reason)
        if fix is None and status in (402, 403):
            fix = "Let the key's role manage namespaces, and look at the plan and its quota"
        return RefusedError(f"{where}: {reason or said_by(answer) or f'HTTP {status}'}", fix=fix)


_REMEDIES = {
    "NAME_IN_USE_BY_NAMESPACE": "A namespace has that name: delete it",
    "TARGET_NAMESPACE_NOT_FOUND": "Push the version again: its namespace is gone",
    "TARGET_NAMESPACE_NOT_ACTIVE": "The namespace is still being made or imported: repeat the command later",
    "TARGET_IS_ALIAS": "An alias of Pinecone's has the name of a namespace of ours: delete that alias",
    "ALIASES_PER_INDEX_EXCEEDED": "The index has 1,000 aliases: delete some",
    "ALIAS_NAME_INVALID": "Set `namespace_aliases: false` for the target, or choose a shorter dataset or environment",
}


def targeted(target: str, namespace: str, names: Collection[str]) -> RefusedError:
    """The error for ``NAMESPACE_TARGETED_BY_ALIAS``: which alias, and what to do."""
    what = f"alias {next(iter(names))}" if len(names) == 1 else f"aliases {', '.join(names) or '(unknown)'}"
    return RefusedError(
        f"target {target}: namespace {namespace} is not dropped, because Pinecone's own {what} points at it",
        fix="Point that alias elsewhere or delete it (DELETE /namespace-aliases/NAME on the index host), then run it again",
    )


def reason_of(answer: httpx.Response) -> str:
    """``details[0].reason`` of an error answer; empty where there is none."""
    body = _json(answer)
    details = body.get("details") if isinstance(body, dict) else None
    first = details[0] if isinstance(details, list) and details else {}
    reason = first.get("reason") if isinstance(first, dict) else None
    return reason if isinstance(reason, str) else ""


def said_by(answer: httpx.Response) -> str:
    """The message of an error answer, cut."""
    body = _json(answer)
    message = body.get("message") if isinstance(body, dict) else None
    return message[:200] if isinstance(message, str) else ""


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None
