"""Long results on one machine: whole or not there, and gone after the runs that name them."""

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from punctual.adapters.results.files import KEPT, FileResults
from punctual.core.errors import StoreUnavailable
from punctual.core.runs import HISTORY_KEPT
from tests.support.builders import SECOND
from tests.support.clock import NINE

BODY = bytes(range(256)) * 4000


def swept(results: FileResults, now: datetime) -> int:
    """Sweep every part of the folder."""
    return sum(results.sweep(now) for _ in range(256))


def date(home: Path, name: str, at: datetime) -> None:
    """Have a file written at an instant."""
    (path,) = home.glob(f"results/*/{name}")
    os.utime(path, (at.timestamp(), at.timestamp()))


def test_a_body_comes_back_as_it_was_after_a_restart_too(tmp_path: Path) -> None:
    name = FileResults(tmp_path).put(BODY)

    assert FileResults(tmp_path).get(name) == BODY
    assert FileResults(tmp_path).put(BODY) == name


def test_a_body_that_was_never_put_is_not_there(tmp_path: Path) -> None:
    assert FileResults(tmp_path).get("0" * 32) is None


def test_nothing_else_is_left_in_the_folder(tmp_path: Path) -> None:
    name = FileResults(tmp_path).put(BODY)

    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [name]


def test_a_body_outlives_the_runs_that_name_it_and_then_goes(tmp_path: Path) -> None:
    results = FileResults(tmp_path)
    name = results.put(BODY)
    date(tmp_path, name, NINE)

    assert KEPT > HISTORY_KEPT
    assert swept(results, NINE + KEPT) == 0
    assert results.get(name) == BODY
    assert swept(results, NINE + KEPT + SECOND) == 1
    assert results.get(name) is None


def test_what_a_death_in_the_middle_of_a_writing_left_goes_too(tmp_path: Path) -> None:
    results = FileResults(tmp_path)
    name = results.put(BODY)
    left = tmp_path / "results" / name[:2] / ".left"
    left.write_bytes(b"half of it")
    os.utime(left, (NINE.timestamp(), NINE.timestamp()))
    date(tmp_path, name, NINE + KEPT)

    assert swept(results, NINE + KEPT + SECOND) == 1
    assert not left.exists()


def test_what_cannot_be_looked_at_is_passed_over(tmp_path: Path) -> None:
    """Such as a file that was there a moment ago, and has got its name meanwhile."""
    results = FileResults(tmp_path)
    name = results.put(BODY)
    (tmp_path / "results" / name[:2] / ".gone").symlink_to(tmp_path / "nowhere")
    date(tmp_path, name, NINE)

    assert swept(results, NINE + KEPT + SECOND) == 1
    assert results.get(name) is None


def test_a_body_that_is_put_again_is_kept_for_longer(tmp_path: Path) -> None:
    results = FileResults(tmp_path)
    name = results.put(BODY)
    date(tmp_path, name, NINE - timedelta(days=365))

    results.put(BODY)

    assert swept(results, NINE - timedelta(days=365) + KEPT + SECOND) == 0
    assert results.get(name) == BODY


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("in the way")

    with pytest.raises(StoreUnavailable, match="cannot be kept"):
        FileResults(tmp_path).put(BODY)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    results = FileResults(tmp_path)
    name = results.put(BODY)
    (path,) = tmp_path.glob(f"results/*/{name}")
    path.unlink()
    path.mkdir()

    with pytest.raises(StoreUnavailable, match="cannot be read"):
        results.get(name)
