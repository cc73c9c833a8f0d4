"""MiniStack, run for a while: an AWS on this machine that answers over real sockets."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

HOST = "127.0.0.1"

READY_WITHIN_SECONDS = 60

ACCOUNT = "000000000000"

REGION = "us-east-1"

CREDENTIALS = ("test", "test")
"""Key and secret of the emulated account's root. A key of 12 digits would name another account."""

_GUARD = "import os, signal, sys; sys.stdin.read(); os.killpg(0, signal.SIGKILL)"
"""Waits for the end of a pipe, which comes when whoever holds it is gone, however it went."""


class EmulatorError(Exception):
    """The emulated AWS does not start; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ministack:
    """A MiniStack that runs, and what belongs to it."""

    endpoint: str
    """Such as `http://127.0.0.1:4566`."""
    folder: Path
    """Gone when it ends."""
    process: "subprocess.Popen[bytes]"
    """Leads the process group that everything started here is in."""

    def env(self) -> dict[str, str]:
        """Return an environment in which every AWS tool talks to this one and to no other."""
        return aws_free_environment() | {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": CREDENTIALS[0],
            "AWS_SECRET_ACCESS_KEY": CREDENTIALS[1],
            "AWS_REGION": REGION,
            "TMPDIR": str(self.folder),
        }

    def run(self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], log: Path) -> int:
        """Run a command to its end, and return its exit code; it dies with MiniStack."""
        with log.open("ab") as output:
            return subprocess.call(  # noqa: S603 - our own arguments
                command,
                cwd=cwd,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=self.process.pid,
            )


def aws_free_environment() -> dict[str, str]:
    """Return the environment without anything that could lead to a real account."""
    ours = os.environ  # noqa: TID251 - handed on to what is started, not read
    kept = {name: value for name, value in ours.items() if not name.startswith("AWS_")}
    unproxied = ",".join(filter(None, [kept.get("no_proxy") or kept.get("NO_PROXY"), HOST]))
    return kept | {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": unproxied,
        "no_proxy": unproxied,
    }


@contextmanager
def ministack(*, port: int = 0) -> Iterator[Ministack]:
    """Run MiniStack on the loopback interface, and yield it once it answers.

    It and all that it starts is killed in the end: when the `with` ends, and also when this process
    dies without getting there.

    Args:
        port: Where it listens; 0 for a port that is free.

    Raises:
        EmulatorError: The port is taken, or MiniStack does not start.
    """
    port = _claim(port)
    with tempfile.TemporaryDirectory(prefix="ministack-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        env = aws_free_environment() | {
            "BIND_HOST": HOST,
            "GATEWAY_PORT": str(port),
            "LOG_LEVEL": "WARNING",
            "MINISTACK_REGION": REGION,
            # Every worker has its code to itself, so what it would compile is used by nobody else.
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": name,
        }
        with (folder / "ministack.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "ministack"],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            try:
                with _guard(process.pid):
                    running = Ministack(
                        endpoint=f"http://{HOST}:{port}", folder=folder, process=process
                    )
                    _wait_until_ready(running)
                    yield running
            finally:
                with suppress(ProcessLookupError):  # it may have ended by itself
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@contextmanager
def _guard(group: int) -> Iterator[None]:
    """Have a process group killed when this process dies."""
    guard = subprocess.Popen(  # noqa: S603 - our own arguments
        [sys.executable, "-c", _GUARD], stdin=subprocess.PIPE, process_group=group
    )
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()


def _claim(port: int) -> int:
    """Return a port that is free: this one, or any for 0."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise EmulatorError(f"port {port} of {HOST} cannot be had: {error.strerror}") from error
        chosen: int = listener.getsockname()[1]
        return chosen


def _wait_until_ready(ministack: Ministack) -> None:
    unproxied = build_opener(ProxyHandler({}))
    give_up_at = time.monotonic() + READY_WITHIN_SECONDS
    while ministack.process.poll() is None and time.monotonic() < give_up_at:
        try:
            with unproxied.open(f"{ministack.endpoint}/_ministack/health", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.1)
    log = (ministack.folder / "ministack.log").read_text(errors="replace")
    raise EmulatorError(f"MiniStack does not start\n{log}".rstrip())
