"""Zones come from the pinned package, with every change of their clocks, and from nowhere else."""

import io
import struct
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from punctual.core.cron import Walk
from punctual.core.zones import Zone, zone
from tests.unit.core.test_cron import CASES

NAMES = resources.files("tzdata").joinpath("zones").read_text("ascii").split()
PINNED_TABLES = resources.files("tzdata").joinpath("zoneinfo")
SYSTEM_TABLES = Path("/usr/share/zoneinfo")


def table(name: str) -> bytes:
    """Return a zone's file in the pinned package."""
    return PINNED_TABLES.joinpath(*name.split("/")).read_bytes()


def changes(file: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield the changes that a zone's file lists (RFC 9636): instant, offset before, and after."""
    size = 44
    counts = struct.unpack(">6l", file[20:size])
    is_utc, is_standard, leaps, times, types, letters = counts
    second = size + times * 5 + types * 6 + letters + leaps * 8 + is_standard + is_utc
    _, _, _, times, types, _ = struct.unpack(">6l", file[second + 20 : second + size])
    at = second + size
    instants = struct.unpack(f">{times}q", file[at : at + times * 8])
    kinds = file[at + times * 8 : at + times * 9]
    records = file[at + times * 9 : at + times * 9 + types * 6]
    offsets = [offset for offset, _, _ in struct.iter_unpack(">lBB", records)]
    before = offsets[0]
    for instant, kind in zip(instants, kinds, strict=True):
        if offsets[kind] != before:
            yield instant, before, offsets[kind]
        before = offsets[kind]


def test_every_change_since_1970_of_every_zone_is_known() -> None:
    files = {table(name): name for name in NAMES}
    compared = 0
    for file, name in files.items():
        found = zone(name)
        for instant, before, after in changes(file):
            if instant < 0:
                continue
            compared += 1
            ending, beginning = found.period_at(instant - 1), found.period_at(instant)
            assert (ending.offset, ending.end, ending.after) == (before, instant, after), name
            assert (beginning.before, beginning.start, beginning.offset) == (
                (before, instant, after)
            ), name
    assert compared > 10_000


def footers() -> list[str]:
    """Return a zone for each rule that goes on for ever after what a file lists."""
    return sorted({table(name).splitlines()[-1]: name for name in NAMES}.values())


@pytest.mark.parametrize("name", footers())
def test_the_rule_at_the_end_of_a_file_is_followed_for_ever(name: str) -> None:
    """In the years beyond the last instant of any file, day by day."""
    found, pinned = zone(name), ZoneInfo.from_file(io.BytesIO(table(name)))
    first = datetime(2088, 1, 1, tzinfo=UTC)
    days = [first + timedelta(days=day) for day in range(13 * 365)]
    offsets = [day.astimezone(pinned).utcoffset() for day in days]

    changes_met = []
    period = found.period_at(int(first.timestamp()))
    while period.end < days[-1].timestamp():
        following = found.period_at(period.end)
        assert following.start <= period.end < following.end
        assert following.offset == period.after
        if period.offset != period.after:
            changes_met.append(period.end)
            assert (following.start, following.before) == (period.end, period.offset)
        period = following

    assert [datetime.fromtimestamp(change - 1, UTC).date() for change in changes_met] == [
        day.date()
        for day, before, after in zip(days, offsets, offsets[1:], strict=False)
        if before != after
    ]


def test_the_tables_of_the_machine_are_not_read(tmp_path: Path) -> None:
    """Whoever keeps Tokyo's table under Berlin's name misleads others, not us."""
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe" / "Berlin").write_bytes(table("Asia/Tokyo"))
    noon = int(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp())
    before = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[tmp_path])
    try:
        misled = ZoneInfo.no_cache("Europe/Berlin").utcoffset(
            datetime(2026, 7, 1, 12)  # noqa: DTZ001 - the wall-clock time that a zone is asked about
        )
        found = zone.__wrapped__("Europe/Berlin").period_at(noon)
    finally:
        zoneinfo.reset_tzpath(to=before)

    assert misled is not None
    assert misled.total_seconds() == 9 * 3600
    assert found.offset == 2 * 3600


def test_the_tables_of_this_machine_know_of_no_change_that_the_pinned_ones_lack() -> None:
    """Slots never come from the machine's tables, but newer ones say that ours are out of date."""
    release, pinned = (
        release_of(SYSTEM_TABLES / "tzdata.zi"),
        release_of(PINNED_TABLES / "tzdata.zi"),
    )
    assert pinned is not None
    if release is None:
        pytest.skip(
            "this machine has no zone tables that say their release (tzdata.zi), so there is "
            "nothing to compare the pinned ones with; Punctual does not need them"
        )
    differing = {case["tz"] for case in CASES if not same_with_system_table(case)}
    if not differing:
        return
    zones = ", ".join(sorted(differing))
    if release < pinned:
        pytest.skip(
            f"this machine's zone tables ({release}) are older than the pinned ones "
            f"({pinned}) and differ in {zones}: slots are right, but other programs "
            "here show other wall-clock times for them; update the machine's tzdata"
        )
    pytest.fail(
        f"the pinned zone tables ({pinned}) disagree with this machine's ({release}) "
        f"in {zones}: pin the tzdata package of that release in pyproject.toml, run `make lock`, "
        "and say in the changelog which zones' slots move"
    )


def release_of(source: Traversable) -> str | None:
    """Return the release of zone tables, such as `2026f`; None when there are none."""
    if not source.is_file():
        return None
    with source.open(encoding="utf-8") as file:
        return str(file.readline()).removeprefix("# version").strip()


def same_with_system_table(case: dict[str, object]) -> bool:
    file = SYSTEM_TABLES / str(case["tz"])
    if not file.is_file():
        return False
    walk = Walk(str(case["expr"]), Zone(file.read_bytes()), dst=None)
    at = datetime.fromisoformat(str(case["after"]))
    expected = case["expected"]
    assert isinstance(expected, list)
    for instant in expected:
        following = walk.next(at)
        if following != datetime.fromisoformat(instant):
            return False
        at = following
    return True
