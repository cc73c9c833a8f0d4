"""What a story came to: what a reader of the API is told, held against what users asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from punctual.core.instants import epoch_ms, parse_instant
from tests.crashes.checker import Broken, doubles
from tests.crashes.outside import Called, Outside, RunKey, Wish
from tests.crashes.requests import Api, pages, read
from tests.crashes.stories import Json, Story, text
from tests.simulation.oracle import Life, Owed, Period, Window, owed

TERMINAL = frozenset(
    {"succeeded", "failed", "timed_out", "cancelled", "missed", "skipped", "unknown"}
)

ANSWERS = frozenset({"fast", "slow"})


@dataclass(eq=False, kw_only=True)
class JobLife(Life):
    """One life of a job, by its user's words alone."""

    job: str
    incarnation: int
    created: Window
    bodies: list[Json] = field(default_factory=list)

    def run_of(self, slot: int) -> str:
        """Return the id of the run of a slot."""
        name = text(slot).replace("-", "").replace(":", "")
        return RunKey(self.job, self.incarnation, name).run_id


def lives_of(job: str, wishes: Sequence[Wish]) -> list[JobLife]:
    """Tell the lives of a job from what its user was granted."""
    lives: list[JobLife] = []
    for wish in wishes:
        if wish.job != job or not wish.granted:
            continue
        assert wish.answered_at is not None, "what is granted was answered"
        window = Window(low=wish.called_at, high=wish.answered_at)
        life = lives[-1] if lives and lives[-1].deleted is None else None
        match wish.verb:
            case "create" | "edit":
                assert wish.body is not None, "a definition has a body"
                if life is None:
                    number = len(lives) + 1
                    life = JobLife(job=job, incarnation=number, created=window)
                    lives.append(life)
                _add_period(life, wish.body, window)
            case "delete" if life is not None:
                life.deleted = window
            case "pause" if life is not None:
                if not life.pauses or life.pauses[-1][1] is not None:
                    life.pauses.append((window, None))
            case "resume" if life is not None:
                if life.pauses and life.pauses[-1][1] is None:
                    life.pauses[-1] = (life.pauses[-1][0], window)
    return lives


def _add_period(life: JobLife, body: Json, window: Window) -> None:
    schedule = body["schedule"]
    life.bodies.append(body)
    if life.periods and life.periods[-1].schedule == schedule:
        return
    since = window
    if life.pauses and life.pauses[-1][1] is None:
        since = life.pauses[-1][0]  # an edit while paused counts from the pause
    period = Period(schedule=schedule, since=since, anchor=0)
    if life.periods and life.periods[-1].since is since:
        life.periods[-1] = period  # an earlier edit while paused was never in force
    else:
        life.periods.append(period)


def reckon(outside: Outside, story: Story, api: Api) -> None:
    """Raise `Broken` for the first thing that is not as promised."""
    for user in story.users:
        lives = lives_of(user.job, outside.wishes)
        stored = {key for key in outside.committed.runs if key.job == user.job}
        for life in lives:
            page = list(pages(api, f"/v1/jobs/{user.job}/runs")) if life is lives[-1] else []
            for what in _findings(life, outside, api, page, stored):
                raise Broken("I10", what)
        extra = {key.incarnation for key in stored} - {life.incarnation for life in lives}
        if extra:
            raise Broken("I10", f"{user.job} has runs of lives that it never had: {extra}")
        creates = [w for w in outside.wishes if w.job == user.job and w.verb == "create"]
        if user.key is not None and len(lives) > 1:
            raise Broken("I11", f"the create under {user.key} made {len(lives)} jobs")
        if not lives and any(wish.granted for wish in creates):
            raise Broken("I11", f"{user.job} was created, and is not there")
    if outside.boots == 1 and not story.manners:
        _called_once(outside)


def _called_once(outside: Outside) -> None:
    """I12: where nothing goes wrong, each run is called once, or not at all."""
    for run in doubles([called.run for called in outside.calls]):
        raise Broken("I12", f"{run} was called twice, though nothing went wrong")


def _findings(
    life: JobLife, outside: Outside, api: Api, listed: Sequence[Json], stored: set[RunKey]
) -> Iterator[str]:
    """Yield what is wrong with the outcomes of a life: none is missing, none is extra."""
    slots = owed(life, until=outside.now)
    known = slots.must | slots.may
    left_out = _left_out(listed)
    rows = {
        outside.committed.runs[key].scheduled_at: key
        for key in stored
        if key.incarnation == life.incarnation
    }
    ids = [run["id"] for page in listed for run in page["items"] if run["state"] != "scheduled"]
    for run in doubles(ids):
        yield f"{run} is listed twice"
    if listed and set(ids) != {key.run_id for key in rows.values()}:
        yield f"{life.job} lists {ids}, and has {sorted(rows)}"
    pending = _pending_from(life, outside)
    for slot in sorted(known | rows.keys()):
        run = life.run_of(slot)
        told = read(api, f"/v1/runs/{run}")
        is_left_out = [since for since, until in left_out if since <= slot <= until]
        if told is None or told["state"] == "scheduled":
            if slot in slots.must and not is_left_out and slot < pending:
                yield f"{run} was lost"
            continue
        if told["state"] not in TERMINAL:
            yield f"{run} is {told['state']} for ever"
        if slot not in known and not _may_be_extra(life, outside, run, told):
            yield f"{run} is no slot, and is {told['state']}"
        if is_left_out:
            yield f"{run} is {told['state']}, and was left out too"
        calls = [called for called in outside.calls if called.run == run]
        why = _untrue(life, outside, slot, told, calls)
        if why is not None:
            yield f"{run} is recorded as {told['state']}, and {why}"
    for slot in known:
        if sum(since <= slot <= until for since, until in left_out) > 1:
            yield f"{life.run_of(slot)} was left out twice"
    yield from _counted(listed, slots, life)


def _left_out(listed: Sequence[Json]) -> list[tuple[int, int]]:
    """Return the stretches that were left out; every page of a listing tells of all."""
    gaps = listed[0]["gaps"] if listed else []
    return [(_instant(gap["from"]), _instant(gap["to"])) for gap in gaps]


def _counted(listed: Sequence[Json], slots: Owed, life: JobLife) -> Iterator[str]:
    for gap in listed[0]["gaps"] if listed else []:
        since, until = _instant(gap["from"]), _instant(gap["to"])
        sure = sum(since <= slot <= until for slot in slots.must)
        most = sure + sum(since <= slot <= until for slot in slots.may)
        if not sure <= gap["count"] <= most:
            yield f"{life.job}: a stretch counts {gap['count']} slots, and holds {sure} to {most}"
        if all(body.get("catch_up", "all") == "all" for body in life.bodies):
            yield f"{life.job} leaves slots out, which nobody asked for"


def _pending_from(life: JobLife, outside: Outside) -> int:
    """Return the first slot that a job which stays paused has still to hand over."""
    job = outside.committed.jobs[life.job]
    if job.incarnation != life.incarnation or job.state != "paused" or job.next_slot is None:
        return 1 << 62
    return job.next_slot


def _may_be_extra(life: JobLife, outside: Outside, run: str, told: Json) -> bool:
    """Say whether an outcome is fine without a slot: its run was called off, or died."""
    if told["state"] == "cancelled":
        return life.deleted is not None or _is_cancelled(outside, life, run)
    return _has_died(outside, run)


def _has_died(outside: Outside, run: str) -> bool:
    """Say whether a run ended by the death of its last attempt, whatever that attempt was told."""
    row = next(row for key, row in outside.committed.runs.items() if key.run_id == run)
    return row.state in {"failed", "unknown"} and row.finished_by is None


def _is_cancelled(outside: Outside, life: JobLife, run: str) -> bool:
    names = [w.verb.partition(" ")[2] for w in outside.wishes if w.job == life.job]
    return any(name and run == RunKey(life.job, 1, name).run_id for name in names)


def _untrue(
    life: JobLife, outside: Outside, slot: int, told: Json, calls: Sequence[Called]
) -> str | None:
    """Say why an outcome is not what happened; None when it is."""
    ends = [outside.over.get(called.number, "died") for called in calls]
    most_once = all(body.get("delivery") == "at_most_once" for body in life.bodies)
    if most_once and len(calls) > 1:
        return f"it was called {len(calls)} times, and was to be called at most once"
    match told["state"]:
        case "succeeded" if not ANSWERS & set(ends):
            return f"its calls ended so: {ends}"
        case "timed_out" if "timeout" not in ends:
            return f"its calls ended so: {ends}"
        case "missed":
            deadline = min(body.get("start_deadline_seconds", 3600) for body in life.bodies)
            if _instant(told["finished_at"]) <= max(slot, life.created.low) + 1000 * deadline:
                return "its start deadline was not over"
        case "skipped" if told["reason"] == "overlap" and not _has_rule(life):
            return "its job lets runs overlap"
        case "skipped" if told["reason"] != "overlap" and not life.pauses:
            return "its job was never paused"
        case "cancelled" if life.deleted is None and not _is_cancelled(outside, life, told["id"]):
            return "nobody cancelled it or deleted its job"
        case "unknown" if not any(b.get("delivery") == "at_most_once" for b in life.bodies):
            return "its job was to be carried out at least once"
        case "failed" if ends[-1:] and ends[-1] in ANSWERS and not _has_died(outside, told["id"]):
            return f"its calls ended so: {ends}"
        case _:
            pass
    return None


def _has_rule(life: JobLife) -> bool:
    return any(body.get("overlap", "allow") != "allow" for body in life.bodies)


def _instant(written: str) -> int:
    return epoch_ms(parse_instant(written))
