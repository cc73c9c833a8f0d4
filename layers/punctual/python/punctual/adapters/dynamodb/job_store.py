"""Jobs, their contents and the index of due jobs, over the table."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import compress

from punctual.adapters.dynamodb import keys
from punctual.adapters.dynamodb.items import (
    Item,
    address,
    content_from_item,
    content_to_value,
    due_job_from_item,
    instant,
    is_expired,
    job_from_item,
    job_to_item,
    number,
    seconds,
    text,
    whole_seconds,
)
from punctual.adapters.dynamodb.table import Fate, Table, side_by_side
from punctual.adapters.dynamodb.writes import Change, Insert, Update
from punctual.core.dispatch import Claim
from punctual.core.errors import StoreUnavailable
from punctual.core.identity import JobKey
from punctual.core.jobs import TOMBSTONE_KEPT, Content, DueJob, Job, JobState
from punctual.core.records import UnreadableRecord
from punctual.ports import Clock, Page

logger = logging.getLogger(__name__)

DUE_PAGE = 250
"""Jobs read from one shard at a time, so that a crowded shard does not hold up its neighbours."""

CLAIM = Change(
    when="#state = :expected_state AND #next_slot = :expected_slot AND #revision = :revision",
    sets=("#next_slot = :next_slot", "#due_at = :next_slot", "#ordinal = :ordinal"),
)
"""Moves the pointer of an active job, and its place in the index of due jobs."""

CLAIM_WHILE_PAUSED = Change(
    when=CLAIM.when, sets=("#next_slot = :next_slot", "#ordinal = :ordinal")
)
"""A paused job is in no index."""

CLAIM_LAST = Change(
    when=CLAIM.when,
    sets=("#state = :state", "#ordinal = :ordinal", "#last_slot = :last_slot"),
    removes=("#next_slot", "#due_shard", "#due_at"),
)
"""No slot follows."""

PARK = Change(
    when="#state = :active",
    sets=(
        "#state = :paused",
        "#paused_at = :now",
        "#updated_at = :now",
        "#pause_note = :note",
        "#revision = #revision + :one",
    ),
    removes=("#due_shard", "#due_at"),
)

EXPIRE_CONTENT = Change(when="#touched = :touched", sets=("#ttl = :ttl",))
"""A content that was stored once more since is left alone: it belongs to the next life."""

REVIVE_CONTENT = Change(
    when="attribute_exists(#content)", sets=("#touched = #touched + :one",), removes=("#ttl",)
)


class DynamoJobStore:
    """Fills `JobStore`. Each job is one item, so that every decision about it is one write."""

    def __init__(self, table: Table, *, clock: Clock) -> None:
        self._table = table
        self._clock = clock

    def create(self, job: Job, *, over: Job | None = None) -> Job | None:
        """See `JobStore.create`."""
        # A tombstone past its time is as good as gone, though the table may still hold it.
        when = "attribute_not_exists(#pk) OR #ttl <= :now"
        values = {":now": whole_seconds(self._clock.now())}
        if over is not None:
            # Before the job: a delete that is still dating the old life's contents then finds
            # this one stored once more, and leaves it.
            self._revive_content(job)
            when = f"{when} OR (#state = :deleted AND #revision = :revision)"
            values |= {
                ":deleted": text(JobState.DELETED),
                ":revision": number(over.revision),
            }
        answer = self._table.put(job_to_item(job), when=when, values=values)
        if answer.fate is Fate.APPLIED:
            return None
        assert answer.item is not None, "only a job that is there refuses a create"
        standing = job_from_item(answer.item)
        return None if standing == job else standing

    def create_new(self, jobs: Sequence[tuple[Job, Content]]) -> Sequence[bool]:
        """See `JobStore.create_new`; as many in one request as it carries."""
        contents = self._table.write(
            [
                Insert(
                    item=address(keys.job_partition(job.key), keys.content_sort(job.content))
                    | {"content": content_to_value(content), "touched": number(1)}
                )
                for job, content in jobs
            ]
        )
        ready = [answer.fate is Fate.APPLIED for answer in contents]
        stored = self._table.write(
            [Insert(item=job_to_item(job)) for job, _ in compress(jobs, ready)]
        )
        applied = iter(answer.fate is Fate.APPLIED for answer in stored)
        return [is_ready and next(applied) for is_ready in ready]

    def change(self, job: Job, *, seen: Job) -> bool:
        """See `JobStore.change`."""
        deletes = job.state is JobState.DELETED
        # Read before the tombstone stands, so that none of a later life is among them.
        contents = self._contents_of(job.key) if deletes else []
        item = job_to_item(job)
        if deletes:
            item["ttl"] = seconds(job.updated_at + TOMBSTONE_KEPT)
        when = "#revision = :revision AND #state = :state AND "
        values = {":revision": number(seen.revision), ":state": text(seen.state)}
        if seen.next_slot is None:
            when += "attribute_not_exists(#next_slot)"
        else:
            when += "#next_slot = :next_slot"
            values[":next_slot"] = instant(seen.next_slot)
        answer = self._table.put(item, when=when, values=values)
        applied = answer.fate is Fate.APPLIED or (
            answer.item is not None and job_from_item(answer.item) == job
        )
        if applied and deletes:
            self._expire(contents, at=job.updated_at + TOMBSTONE_KEPT)
        return applied

    def read(self, job_keys: Sequence[JobKey]) -> Mapping[JobKey, Job]:
        """See `JobStore.read`."""
        now = self._clock.now()
        jobs: dict[JobKey, Job] = {}
        for item in self._table.get([_address(key) for key in job_keys]):
            if is_expired(item, now=now):
                continue
            try:
                job = job_from_item(item)
            except UnreadableRecord:
                # Loud, yet it must not take along the jobs that were asked for together with it.
                logger.exception("job cannot be read: %s", keys.job_of(item["pk"]["S"]).job_id)
            else:
                jobs[job.key] = job
        return jobs

    def put_content(
        self, key: JobKey, ref: str, content: Content, *, until: datetime | None = None
    ) -> None:
        """See `JobStore.put_content`."""
        if until is not None:
            item = address(keys.job_partition(key), keys.content_sort(ref)) | {
                "content": content_to_value(content),
                "touched": number(0),
                "ttl": seconds(until),
            }
            if not self._table.put_all([item])[0]:
                raise StoreUnavailable("the store gave no answer")
            return
        # Counted, so that a delete can tell a content that was stored once more.
        self._table.upsert(
            address(keys.job_partition(key), keys.content_sort(ref)),
            update=(
                "SET #content = :content, #touched = if_not_exists(#touched, :zero) + :one"
                " REMOVE #ttl"
            ),
            names={"#content": "content", "#touched": "touched", "#ttl": "ttl"},
            values={":content": content_to_value(content), ":zero": number(0), ":one": number(1)},
        )

    def read_contents(
        self, refs: Sequence[tuple[JobKey, str]]
    ) -> Mapping[tuple[JobKey, str], Content]:
        """See `JobStore.read_contents`."""
        wanted = {
            (keys.job_partition(key), keys.content_sort(ref)): (key, ref) for key, ref in refs
        }
        found: dict[tuple[JobKey, str], Content] = {}
        # A content never changes, so the cheaper read will do; it may only miss one just stored.
        for consistent in (False, True):
            missing = [place for place, name in wanted.items() if name not in found]
            if missing:
                for item in self._table.get(
                    [address(*place) for place in missing], consistent=consistent
                ):
                    name = wanted[item["pk"]["S"], item["sk"]["S"]]
                    try:
                        found[name] = content_from_item(item)
                    except UnreadableRecord:
                        logger.exception("content cannot be read: %s", name[1])
        return found

    def due(self, shards: Sequence[int], *, until: datetime) -> Iterable[Sequence[DueJob]]:
        """See `JobStore.due`.

        A page holds the next jobs of every shard, so that shards with few jobs share the requests
        of a visit and none waits for a crowded one. A job that cannot be read is parked.
        """
        queries = [
            self._table.query(
                "#due_shard = :shard AND #due_at <= :until",
                values={":shard": number(shard), ":until": instant(until)},
                index="due",
                limit=DUE_PAGE,
            )
            for shard in shards
        ]
        for items in side_by_side(queries):
            items.sort(key=lambda item: int(item["due_at"]["N"]))
            yield list(self._readable(items))

    def claim(self, claims: Sequence[Claim]) -> Sequence[bool]:
        """See `JobStore.claim`."""
        answers = self._table.write([_claim(claim) for claim in claims])
        return [answer.fate is Fate.APPLIED for answer in answers]

    def park(self, key: JobKey, *, reason: str, now: datetime) -> None:
        """See `JobStore.park`; without an answer the job stays due, and its next visit parks it."""
        values = {
            ":active": text(JobState.ACTIVE),
            ":paused": text(JobState.PAUSED),
            ":now": instant(now),
            ":note": text(reason),
            ":one": number(1),
        }
        self._table.write([Update(key=_address(key), change=PARK, values=values)])

    def list(self, tenant: str, *, prefix: str, after: str | None, limit: int) -> Page:
        """See `JobStore.list`."""
        # `!` sorts before and `~` after every character that a job's id may hold.
        first = prefix or "!"
        if after is not None:
            first = max(first, after + "!")
        last = prefix + "~"
        if first > last:
            return Page(jobs=(), last_job_id=None)
        pages = self._table.query(
            "#tenant = :tenant AND #job_id BETWEEN :first AND :last",
            values={":tenant": text(tenant), ":first": text(first), ":last": text(last)},
            index="jobs",
            limit=limit + 1,
        )
        found: list[str] = []
        for page in pages:
            found += [item["job_id"]["S"] for item in page]
            if len(found) > limit:
                break
        job_ids = found[:limit]
        jobs = self.read([JobKey(tenant, job_id) for job_id in job_ids])
        return Page(
            jobs=tuple(
                job
                for job_id in job_ids
                if (job := jobs.get(JobKey(tenant, job_id))) is not None
                and job.state is not JobState.DELETED
            ),
            last_job_id=job_ids[-1] if len(found) > limit else None,
        )

    def _readable(self, items: Iterable[Item]) -> Iterator[DueJob]:
        for item in items:
            try:
                yield due_job_from_item(item)
            except UnreadableRecord as error:
                key = keys.job_of(item["pk"]["S"])
                logger.exception("job cannot be read and is parked: %s", key.job_id)
                self.park(key, reason=f"parked: {error}"[:200], now=self._clock.now())

    def _revive_content(self, job: Job) -> None:
        key = address(keys.job_partition(job.key), keys.content_sort(job.content))
        revival = Update(key=key, change=REVIVE_CONTENT, values={":one": number(1)})
        if self._table.write([revival])[0].fate is Fate.UNKNOWN:
            raise StoreUnavailable("the store gave no answer")

    def _contents_of(self, key: JobKey) -> Sequence[Item]:
        pages = self._table.query(
            "#pk = :pk AND begins_with(#sk, :contents)",
            values={":pk": text(keys.job_partition(key)), ":contents": text(keys.CONTENTS)},
        )
        return [item for page in pages for item in page]

    def _expire(self, contents: Sequence[Item], *, at: datetime) -> None:
        """Date contents as they were read; one that stays undated only stays."""
        self._table.write(
            [
                Update(
                    key={"pk": item["pk"], "sk": item["sk"]},
                    change=EXPIRE_CONTENT,
                    values={":touched": item["touched"], ":ttl": seconds(at)},
                )
                for item in contents
            ]
        )


def _address(key: JobKey) -> Item:
    return address(keys.job_partition(key), keys.JOB)


def _claim(claim: Claim) -> Update:
    values = {
        ":expected_state": text(claim.expected_state),
        ":expected_slot": instant(claim.expected_slot),
        ":revision": number(claim.expected_revision),
        ":ordinal": number(claim.ordinal),
        ":state": text(claim.state),
    }
    if claim.next_slot is None:
        assert claim.last_slot is not None, "a pointer that goes leaves its last slot"
        change = CLAIM_LAST
        values[":last_slot"] = instant(claim.last_slot)
    else:
        change = CLAIM if claim.expected_state is JobState.ACTIVE else CLAIM_WHILE_PAUSED
        values[":next_slot"] = instant(claim.next_slot)
    return Update(key=_address(claim.key), change=change, values=values)
