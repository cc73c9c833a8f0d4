"""The folder of one host's data, which one process at a time may use."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from punctual.core.errors import PunctualError

DATABASE = "punctual.db"
LOCK = "lock"

PRIVATE = 0o700
"""Jobs' headers and bodies may hold secrets."""


class HomeInUse(PunctualError):
    """Another process works on this data; stop it, or choose another folder."""

    code = "home-in-use"


@contextmanager
def occupied(home: Path) -> Iterator[Path]:
    """Keep every other process out of `home`, and yield the file of its database.

    The lock ends with its process, however that ends.

    Raises:
        HomeInUse: Another process was first.
    """
    _make(home)
    # Not a lock on the database itself, since those are SQLite's own business.
    with (home / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            holder = lock.read().strip() or "unknown"
            raise HomeInUse(f"{home} is in use by another process (pid {holder})") from None
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield home / DATABASE


def _make(home: Path) -> None:
    """Make the folder, so that it survives a loss of power as what is written into it does."""
    missing = [folder for folder in (home, *home.parents) if not folder.exists()]
    home.mkdir(mode=PRIVATE, parents=True, exist_ok=True)
    for folder in missing:
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Wait until the disk knows the names in `folder`."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
