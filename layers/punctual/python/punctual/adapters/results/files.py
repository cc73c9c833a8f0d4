"""Long results on one machine: a file each, in a folder of the home."""

import os
import tempfile
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import cycle
from pathlib import Path
from threading import Lock

from punctual.core.errors import StoreUnavailable
from punctual.core.identity import result_name
from punctual.core.runs import HISTORY_KEPT

FOLDER = "results"

KEPT = HISTORY_KEPT + timedelta(days=2)
"""From the last writing on: a little longer than any run that names the file."""

_PARTS = [f"{part:02x}" for part in range(256)]
"""Folders within the folder, by the first letters of a name, so that none grows too long."""


class FileResults:
    """Fills `Results`; every method may be called from any thread."""

    def __init__(self, home: Path) -> None:
        self._folder = home / FOLDER
        self._lock = Lock()
        """Held while a file gets its name or loses it, so that no new file is swept as the old."""
        self._next_part = cycle(_PARTS)

    def put(self, body: bytes) -> str:
        """See `Results.put`. Once it returns the body outlives a loss of power."""
        name = result_name(body)
        path = self._path(name)
        try:
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
                for folder in (path.parent.parent, path.parent.parent.parent):
                    _make_durable(folder)
            self._write(path, body)
        except OSError as error:
            raise StoreUnavailable(f"a result cannot be kept: {error.strerror}") from error
        return name

    def get(self, name: str) -> bytes | None:
        """See `Results.get`."""
        try:
            return self._path(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreUnavailable(f"a result cannot be read: {error.strerror}") from error

    def sweep(self, now: datetime) -> int:
        """Delete what no run names any more, in one part of the folder; the next call has the next.

        What a process left behind that died as it wrote goes, too. What cannot be deleted stays.

        Returns:
            How many files were deleted.
        """
        oldest = (now - KEPT).timestamp()
        swept = 0
        for path in (self._folder / next(self._next_part)).glob("*"):
            with self._lock, suppress(OSError):  # such as one that has just got its name
                if path.stat().st_mtime < oldest:
                    path.unlink()
                    swept += 1
        return swept

    def _path(self, name: str) -> Path:
        return self._folder / name[:2] / name

    def _write(self, path: Path, body: bytes) -> None:
        """Write a file of another name, and let it take the place of `path` at once."""
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
            try:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
                with self._lock:
                    Path(file.name).replace(path)
            except OSError:
                Path(file.name).unlink(missing_ok=True)
                raise
        _make_durable(path.parent)


def _make_durable(folder: Path) -> None:
    """Have the names in a folder outlive a loss of power."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
