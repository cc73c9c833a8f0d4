"""Several slots, while a user edits, pauses or re-creates the job: each is served as it must be.

What is stored, how it moves and every decision are the production code's own. What is modelled is
who does what in which order, and what may go wrong in between.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from punctual.core.changes import created, rescheduled, resumed
from punctual.core.dispatch import TICK, queued_run
from punctual.core.execution import Go, decide
from punctual.core.jobs import Job, JobState
from punctual.core.runs import Ending, Run
from punctual.core.watching import Finding, Reference, Verb, examine
from tests.model.checker import explore
from tests.model.many_slots import ManySlots, Protocol, Story

EDIT = Story(without=((2,), (1,)))
"""The first slot is given up for the second one."""
PAUSES = Story(slots=1, pauses=2, deaths=1)
LIVES = Story(slots=1, re_creates=True, deaths=1)


@pytest.mark.parametrize(
    "story",
    [
        pytest.param(EDIT, id="an edit moves the slots"),
        pytest.param(PAUSES, id="two pauses, and a death"),
        pytest.param(LIVES, id="deleted and created anew, and a death"),
    ],
)
def test_every_slot_is_served_as_its_user_was_told(story: Story) -> None:
    verdict = explore(ManySlots(story))

    assert verdict.wrong is None, str(verdict)


@pytest.mark.nightly
@pytest.mark.parametrize(
    "story",
    [
        pytest.param(Story(without=((), (1,))), id="an edit takes a slot away"),
        pytest.param(Story(without=((1,), ())), id="an edit adds a slot"),
        pytest.param(Story(pauses=1), id="a pause, over two slots"),
        pytest.param(
            Story(without=((2,), (1,)), pauses=1, stale_visits=False),
            id="an edit while paused",
        ),
        pytest.param(
            Story(slots=1, without=((), (1,)), pauses=1, deaths=1),
            id="an edit takes a slot away while paused, and a death",
        ),
        pytest.param(
            Story(slots=1, without=((), (1,)), pauses=2),
            id="an edit takes a slot away, and two pauses",
        ),
        pytest.param(
            Story(re_creates=True, stale_visits=False),
            id="deleted and created anew, over two slots",
        ),
        pytest.param(
            Story(slots=1, re_creates=True, losses=1, deaths=1),
            id="deleted and created anew, a death and a loss",
        ),
    ],
)
def test_every_slot_is_served_in_longer_stories(story: Story) -> None:
    verdict = explore(ManySlots(story))

    assert verdict.wrong is None, str(verdict)


def _moves_the_pointer_only(job: Job, *args: Any, **kwargs: Any) -> Job:
    return replace(
        rescheduled(job, *args, **kwargs),
        schedule_revision=job.schedule_revision,
        epochs=job.epochs,
    )


def _keeps_the_pointer(job: Job, *, now: datetime) -> Job:
    return replace(resumed(job, now=now), next_slot=job.next_slot, state=JobState.ACTIVE)


def _counts_from_one_again(*args: Any, **kwargs: Any) -> Job:
    return replace(created(*args, **kwargs), revision=1)


def _knows_no_lives(run: Run, job: Job | None, *, now: datetime) -> Go | Ending:
    alike = None if job is None else replace(job, incarnation=run.key.incarnation)
    return decide(run, alike, now=now)


def _drops_what_is_paused(
    reference: Reference, run: Run | None, job: Job | None, *, now: datetime
) -> Finding:
    if run is None and job is not None and job.state is JobState.PAUSED:
        return Finding(verb=Verb.DROP)
    return examine(reference, run, job, now=now)


def _drops_what_a_visit_is_to_hand_over(
    reference: Reference, run: Run | None, job: Job | None, *, now: datetime
) -> Finding:
    finding = examine(reference, run, job, now=now)
    left_to_a_visit = run is None and finding.verb is Verb.LOOK_AGAIN
    return Finding(verb=Verb.DROP) if left_to_a_visit else finding


def _with_epochs_off_by_one(job: Job | None) -> Job | None:
    """Return the job with the slot at which an epoch begins given to the new schedule."""
    if job is None:
        return None
    epochs = (
        epoch if epoch.since is None else replace(epoch, since=epoch.since - TICK)
        for epoch in job.epochs
    )
    return replace(job, epochs=tuple(epochs))


def _decides_off_by_one(run: Run, job: Job | None, *, now: datetime) -> Go | Ending:
    return decide(run, _with_epochs_off_by_one(job), now=now)


def _examines_off_by_one(
    reference: Reference, run: Run | None, job: Job | None, *, now: datetime
) -> Finding:
    return examine(reference, run, _with_epochs_off_by_one(job), now=now)


def _leaves_it_taken_back(run: Run, job: Job) -> None:
    return None


def _hands_over_whatever_was_taken_back(run: Run, job: Job) -> Run:
    return queued_run(job, run.scheduled_at, schedule_revision=job.schedule_revision)


@pytest.mark.parametrize(
    ("story", "protocol"),
    [
        pytest.param(
            EDIT, Protocol(rescheduled=_moves_the_pointer_only), id="an edit begins no epoch"
        ),
        pytest.param(
            EDIT,
            Protocol(decide=_decides_off_by_one, examine=_examines_off_by_one),
            id="epochs are off by one",
        ),
        pytest.param(PAUSES, Protocol(resumed=_keeps_the_pointer), id="resume keeps the pointer"),
        pytest.param(
            LIVES, Protocol(created=_counts_from_one_again), id="a new life counts from one again"
        ),
        pytest.param(LIVES, Protocol(decide=_knows_no_lives), id="executors know no lives"),
        pytest.param(
            EDIT,
            Protocol(handed_over_anew=_hands_over_whatever_was_taken_back),
            id="what was taken back is handed over anew, owed or not",
        ),
        pytest.param(PAUSES, Protocol(void_clears_watch=True), id="a void clears the watch"),
        pytest.param(
            Story(pauses=2, stale_visits=False),
            Protocol(examine=_drops_what_is_paused, handed_over_anew=_leaves_it_taken_back),
            marks=pytest.mark.nightly,
            id="neither the watch nor its executor minds what is owed from before a pause",
        ),
        pytest.param(
            PAUSES,
            Protocol(examine=_drops_what_a_visit_is_to_hand_over),
            id="the watch drops what a visit is to hand over",
        ),
    ],
)
def test_each_breach_of_the_protocol_breaks_a_promise(story: Story, protocol: Protocol) -> None:
    assert explore(ManySlots(story, protocol)).wrong is not None
