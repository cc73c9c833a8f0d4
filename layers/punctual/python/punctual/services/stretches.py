"""Read what is left out for good, and end what was only announced."""

from collections.abc import Sequence
from datetime import datetime

from punctual.core.errors import StoreUnavailable
from punctual.core.identity import JobKey
from punctual.core.runs import Stretch
from punctual.ports import RunStore


def settled_stretches(
    job: JobKey,
    *,
    incarnation: int,
    since: datetime,
    until: datetime,
    runs: RunStore,
    announced_by: str | None = None,
) -> Sequence[Stretch]:
    """Return the stretches of one life that count, once nothing else can between two instants.

    What is announced of slots between these, both included, is withdrawn: its visit is done again.

    Args:
        job: Whose.
        incarnation: Which life.
        since: The first slot that somebody needs to know about.
        until: The last one.
        runs: Where stretches are.
        announced_by: Whose announcements are left alone.

    Raises:
        StoreUnavailable: One may be settled by now, or the store gave no answer: ask again.
    """
    stretches = runs.stretches(job, incarnation=incarnation)
    announced = [
        (job, stretch)
        for stretch in stretches
        if stretch.announced_by not in {None, announced_by}
        and stretch.meets(since=since, until=until)
    ]
    if announced and not all(runs.withdraw_stretches(announced)):
        raise StoreUnavailable("what was announced may be settled by now")
    return [stretch for stretch in stretches if stretch.announced_by is None]
