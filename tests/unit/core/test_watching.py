"""The second look finds what the queue lost, and leaves alone what goes on."""

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from punctual.core.dispatch import AHEAD_MAX
from punctual.core.jobs import Epoch, Job, JobState
from punctual.core.runs import Run
from punctual.core.watching import (
    LOOK_AFTER,
    REFERENCE_BYTES_MAX,
    REFERENCES_MAX,
    Finding,
    Look,
    Reference,
    Verb,
    examine,
    pack,
)
from tests.support.builders import HOUR, MINUTE, SECOND, a_job, a_run, a_run_key
from tests.support.clock import NINE

REFERENCE = Reference(a_run_key(NINE), 1)
LATER = NINE + 15 * MINUTE


def look(run: Run | None, job: Job | None = None) -> Finding:
    return examine(REFERENCE, run, job, now=LATER)


class TestARunThatIsMissing:
    """The row of a run that was handed over may never have been written."""

    def test_is_inserted_when_its_job_owes_it(self) -> None:
        finding = look(None, a_job())

        assert finding.verb is Verb.INSERT
        assert finding.send_at == LATER
        assert finding.look_at == LATER + LOOK_AFTER

    def test_is_dropped_when_its_job_is_gone(self) -> None:
        for job in (None, a_job(state=JobState.DELETED), a_job(incarnation=2)):
            assert look(None, job).verb is Verb.DROP

    def test_is_dropped_when_its_slot_belongs_to_another_schedule(self) -> None:
        epochs = (Epoch(schedule_revision=1), Epoch(schedule_revision=2, since=NINE - MINUTE))

        assert look(None, a_job(epochs=epochs)).verb is Verb.DROP

    def test_is_dropped_when_the_pause_began_before_it(self) -> None:
        job = a_job(state=JobState.PAUSED, paused_at=NINE - SECOND)

        assert look(None, job).verb is Verb.DROP

    def test_is_dropped_when_no_schedule_named_it(self) -> None:
        manual = Reference(a_run_key(name="m.4f2a"), 1)

        assert examine(manual, None, a_job(), now=LATER).verb is Verb.DROP


class TestARunThatIsOpen:
    """A run without an outcome is brought on, or ended."""

    def test_is_sent_again_and_looked_at_again(self) -> None:
        finding = look(a_run(NINE))

        assert (finding.verb, finding.send_at) == (Verb.SEND, LATER)
        assert finding.look_at == LATER + LOOK_AFTER

    def test_is_left_alone_while_its_attempt_may_be_going_on(self) -> None:
        finding = look(a_run(NINE, state="running", lease_until=LATER))

        assert finding.verb is Verb.LOOK_AGAIN
        assert finding.look_at == LATER + MINUTE

    def test_is_sent_again_when_its_attempt_died_and_another_is_left(self) -> None:
        assert look(a_run(NINE, state="running")).verb is Verb.SEND

    def test_is_given_up_when_its_last_attempt_died(self) -> None:
        assert look(a_run(NINE, state="running", attempt=3)).verb is Verb.GIVE_UP

    def test_is_ended_when_its_cancel_met_no_live_attempt(self) -> None:
        for state in ("queued", "running", "retrying"):
            run = a_run(NINE, state=state, cancel_requested_at=NINE + SECOND)

            assert look(run).verb is Verb.REAP

    def test_is_sent_for_the_instant_of_its_retry(self) -> None:
        finding = look(a_run(NINE, state="retrying", retry_at=LATER + 5 * MINUTE))

        assert (finding.verb, finding.send_at) == (Verb.SEND, LATER + 5 * MINUTE)

    def test_is_looked_at_again_before_a_retry_that_is_too_far_to_send(self) -> None:
        finding = look(a_run(NINE, state="retrying", retry_at=LATER + HOUR))

        assert finding.verb is Verb.LOOK_AGAIN
        assert finding.look_at is not None
        assert finding.look_at < LATER + HOUR


def test_a_run_with_an_outcome_is_dropped() -> None:
    for state in ("succeeded", "failed", "cancelled", "missed", "skipped", "unknown"):
        assert look(a_run(NINE, state=state)).verb is Verb.DROP


@given(
    looks=st.lists(
        st.tuples(st.integers(0, 7200), st.sampled_from(["a", "b" * 64]), st.integers(1, 3)),
        max_size=120,
    )
)
def test_packing_loses_no_look_and_keeps_every_bound(looks: list[tuple[int, str, int]]) -> None:
    wanted = [
        Look(
            reference=Reference(a_run_key(NINE + number * SECOND, job_id=job_id), revision),
            at=NINE + seconds * SECOND,
        )
        for number, (seconds, job_id, revision) in enumerate(looks)
    ]

    rows = list(pack(wanted))

    assert Counter(ref for _, refs in rows for ref in refs) == Counter(w.reference for w in wanted)
    at = {look.reference: look.at for look in wanted}
    for minute, references in rows:
        assert 1 <= len(references) <= REFERENCES_MAX
        earliest = min(at[reference] for reference in references)
        assert timedelta(0) <= minute - earliest < MINUTE
        assert max(at[reference] for reference in references) - earliest <= AHEAD_MAX


def test_the_references_of_one_row_fit_one_write_unit() -> None:
    wanted = [
        Look(
            reference=Reference(a_run_key(NINE + n * SECOND, job_id=f"{'j' * 60}{n:04d}"), 1),
            at=NINE,
        )
        for n in range(60)
    ]

    for _, references in pack(wanted):
        names = sum(len(r.key.name) + len(r.key.job.job_id) for r in references)
        assert names <= REFERENCE_BYTES_MAX
