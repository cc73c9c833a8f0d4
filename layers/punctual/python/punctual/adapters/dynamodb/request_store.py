"""Requests that came with a key, over the table: one item each, beside the job they are about."""

from punctual.adapters.dynamodb import keys
from punctual.adapters.dynamodb.items import (
    Item,
    address,
    instant,
    is_expired,
    number,
    seconds,
    text,
    whole_seconds,
)
from punctual.adapters.dynamodb.table import Fate, Table
from punctual.core.identity import JobKey
from punctual.core.instants import from_epoch_ms
from punctual.core.requests import Request
from punctual.ports import Clock


class DynamoRequestStore:
    """Fills `RequestStore`."""

    def __init__(self, table: Table, *, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def remember(self, request: Request) -> Request:
        """See `RequestStore.remember`."""
        answer = self._table.put(
            _item(request),
            # One past its time is as good as gone, though the table may still hold it.
            when="attribute_not_exists(#pk) OR #ttl <= :now",
            values={":now": whole_seconds(self._clock.now())},
        )
        if answer.fate is Fate.APPLIED:
            return request
        assert answer.item is not None, "only a request that is there refuses another"
        return _from_item(answer.item, request.job, request.digest)

    def find(self, job: JobKey, *, digest: str) -> Request | None:
        """See `RequestStore.find`."""
        place = address(keys.job_partition(job), keys.request_sort(digest))
        now = self._clock.now()
        for item in self._table.get([place]):
            if not is_expired(item, now=now):
                return _from_item(item, job, digest)
        return None


def _item(request: Request) -> Item:
    sort = keys.request_sort(request.digest)
    return address(keys.job_partition(request.job), sort) | {
        "incarnation": number(request.incarnation),
        "fingerprint": text(request.fingerprint),
        "run": text(request.run),
        "expires_at": instant(request.expires_at),
        "ttl": seconds(request.expires_at),
    }


def _from_item(item: Item, job: JobKey, digest: str) -> Request:
    return Request(
        job=job,
        incarnation=int(item["incarnation"]["N"]),
        digest=digest,
        fingerprint=item["fingerprint"]["S"],
        run=item["run"]["S"],
        expires_at=from_epoch_ms(int(item["expires_at"]["N"])),
    )
