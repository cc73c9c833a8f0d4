"""Jobs of one minute may be spread over a while: by their names, for ever, and evenly."""

from datetime import timedelta

from punctual.core.schedules import spread_offset
from tests.support.builders import HOUR, MINUTE, TICK


def test_a_job_keeps_its_offset_for_ever() -> None:
    """Another one would move the slots of every spread job with the next release."""
    assert spread_offset("acme/report", HOUR) == timedelta(milliseconds=1_197_650)
    assert spread_offset("acme/invoices", HOUR) == timedelta(milliseconds=1_440_369)


def test_offsets_lie_within_the_spread() -> None:
    offsets = [spread_offset(f"acme/job-{n}", MINUTE) for n in range(1000)]

    assert all(timedelta(0) <= offset < MINUTE for offset in offsets)


def test_jobs_are_spread_evenly() -> None:
    """A thousand jobs over ten parts: a hundred each, but for chance."""
    parts = [spread_offset(f"acme/job-{n}", 10 * MINUTE) // MINUTE for n in range(1000)]

    assert all(60 < parts.count(part) < 140 for part in range(10))


def test_without_a_spread_nothing_is_shifted() -> None:
    assert spread_offset("acme/report", timedelta(0)) == timedelta(0)
    assert spread_offset("acme/report", TICK) == timedelta(0)
