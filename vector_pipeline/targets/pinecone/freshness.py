"""When reads see writes: log sequence numbers (LSNs), and the sentinel.

Laws
----
1. A write answers the LSN at which it was committed; a query answers the LSN up to which it sees. The mark of a namespace is the
   latter, and a receipt's mark is what it will be once reads see that write.
2. A write that answers no LSN (``delete``) is followed by a sentinel: one record of a fixed id that no reader sees, whose LSN is
   behind it. Every namespace that we make has one from its beginning, so that counts are sure of it. Nobody reads it, so it
   may be written twice. It carries whose the namespace is, too: whoever writes it anew has read that before.
3. Where a service says no LSNs at all, a mark is never equal to another, and a write is awaited by a sentinel with a new number.

Source: https://docs.pinecone.io/guides/index-data/check-data-freshness (November 2026).
"""

import uuid
from collections import Counter
from dataclasses import dataclass
from typing import Any

from pinecone import Vector

from vector_pipeline.errors import UnavailableError
from vector_pipeline.targets.base import WriteReceipt
from vector_pipeline.targets.pinecone.encoding import SENTINEL, SENTINEL_KEY, direction
from vector_pipeline.targets.pinecone.service import Place, Service, lsn_of, mark_of

_NUMBER, _OWNER = "vp_number", "vp_owner"
_WEIGHT = 200
"""Bytes of a sentinel's request beside its vector."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a query sees of a namespace."""

    lsn: int | None
    sentinel: bool
    number: str = ""
    owner: str = ""
    """Whose the namespace is, as its sentinel says."""

    @property
    def mark(self) -> str:
        return f"unknown-{uuid.uuid4().hex}" if self.lsn is None else mark_of(self.lsn)


class Freshness:
    """Marks of namespaces, and waiting for them."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._shown: dict[str, int] = {}
        """By namespace, the highest LSN that a query was seen to show: what it covers need not be asked for again."""
        self._owners: dict[str, str] = {}
        """By namespace, whose it is, as its sentinel said when it was last seen or written."""

    def see(self, place: Place) -> Seen:
        """One query: for the sentinel."""
        found = self._service.data(
            place,
            lambda index: index.query(
                vector=direction(place.dimension),
                top_k=1,
                namespace=place.namespace,
                filter={SENTINEL_KEY: {"$eq": True}},
                include_metadata=True,
            ),
            f"query namespace {place.namespace}",
            verb="query",
        )
        info = found.response_info
        lsn = info.lsn_reconciled if info else None
        if lsn is not None:
            self._shown[place.namespace] = lsn
        metadata: dict[str, Any] = next((one.metadata or {} for one in found.matches if one.id == SENTINEL), {})
        owner = str(metadata.get(_OWNER, ""))
        if metadata:
            self._owners[place.namespace] = owner
        return Seen(lsn, bool(metadata), str(metadata.get(_NUMBER, "")), owner)

    def forget(self, namespace: str) -> None:
        """A namespace is gone, and its numbers with it."""
        self._shown.pop(namespace, None)
        self._owners.pop(namespace, None)

    def touch(self, place: Place, retried: Counter[str] | None = None, *, owner: str = "") -> tuple[int | None, str]:
        """Write the sentinel; its LSN, and its new number. ``owner``: of a namespace that was nobody's."""
        number = uuid.uuid4().hex
        if not owner and place.namespace not in self._owners:
            self.see(place)
        owner = owner or self._owners.get(place.namespace, "")
        said = {SENTINEL_KEY: True, _NUMBER: number, **({_OWNER: owner} if owner else {})}
        sentinel = Vector(SENTINEL, direction(place.dimension), None, said)
        answer = self._service.repeated(
            lambda: self._service.data(
                place,
                lambda index: index.upsert(vectors=[sentinel], namespace=place.namespace),
                f"write to namespace {place.namespace}",
                writes=True,
                retried=retried,
                verb="upsert",
                sent=4 * place.dimension + _WEIGHT,
            )
        )
        self._owners[place.namespace] = owner
        info = answer.response_info
        return (info.lsn_committed if info else None), number

    def wait(self, place: Place, receipt: WriteReceipt, timeout_s: float) -> None:
        """Return once queries see a write, or ``UnavailableError``."""
        wanted = lsn_of(receipt.mark)
        if wanted is not None:
            self.wait_for(place, wanted, timeout_s)
        elif receipt.records:
            lsn, number = self.touch(place)
            self.wait_for(place, lsn, timeout_s, number)

    def wait_for(self, place: Place, wanted: int | None, timeout_s: float, number: str = "") -> None:
        """Until queries see an LSN or, where there is none, the sentinel's number."""
        if wanted is not None and wanted <= self._shown.get(place.namespace, -1):
            return
        timeout_s = min(timeout_s, self._service.config.freshness_s)
        seen: list[Seen] = []

        def fresh() -> bool:
            seen.append(self.see(place))
            lsn = seen[-1].lsn
            return seen[-1].number == number if wanted is None else lsn is not None and lsn >= wanted

        if not self._service.until(fresh, timeout_s):
            raise UnavailableError(
                f"target {self._service.name}: namespace {place.namespace} does not show what was written after"
                f" {timeout_s:g} seconds (at {seen[-1].lsn}, wanted {wanted})",
                fix="Run it again later, or raise the target's freshness_s",
            )
