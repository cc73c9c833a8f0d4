"""`make run-aws` as a process: how it starts, how it ends, and that nothing is left of it."""

import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.ministack import ministack
from tests.support.deployed import ROOT
from tests.support.host import environment, wait_until

pytestmark = pytest.mark.e2e

EMULATOR = [sys.executable, "-m", "infra.emulator"]


@contextmanager
def started(folder: Path, *options: str) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Start it, and yield it with the port of its AWS as soon as there is one."""
    output = folder / "output"
    with (
        output.open("wb") as said,
        subprocess.Popen(
            [*EMULATOR, "--port", "0", *options],
            cwd=ROOT,
            env=environment(TMPDIR=str(folder)),
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        try:
            wait_until(lambda: b"AWS is emulated at" in output.read_bytes(), within=60)
            yield process, int(output.read_text().partition("127.0.0.1:")[2].split()[0])
        finally:
            process.kill()


def is_open(port: int) -> bool:
    """Say whether anything listens there."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_told_to_stop_it_ends_with_all_that_it_started(
    tmp_path: Path, number: signal.Signals
) -> None:
    """Told so in the middle of the deployment, which is when most is going on."""
    with started(tmp_path) as (process, port):
        process.send_signal(number)

        assert process.wait(60) == 0
        assert not is_open(port)
        assert [path.name for path in tmp_path.iterdir()] == ["output"], "its folder is gone"


def test_killed_it_leaves_nothing_running(tmp_path: Path) -> None:
    with started(tmp_path) as (process, port):
        process.kill()

        wait_until(lambda: not is_open(port), within=30)


def test_it_ends_when_whoever_started_it_has_gone(tmp_path: Path) -> None:
    """The shell starts it and is killed, as a terminal's would be whose window is closed."""
    output = tmp_path / "output"
    shell = subprocess.Popen(
        ["sh", "-c", f'{sys.executable} -m infra.emulator --port 0 > "{output}" 2>&1; true'],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
    )
    with shell:
        try:
            wait_until(lambda: output.exists() and "emulated at" in output.read_text(), within=60)
            port = int(output.read_text().partition("127.0.0.1:")[2].split()[0])
        finally:
            shell.kill()

    wait_until(lambda: not is_open(port), within=30)


def test_an_aws_that_ended_by_itself_is_cleared_away_like_any_other() -> None:
    with ministack() as aws:
        aws.process.kill()
        aws.process.wait()

    assert not aws.folder.exists()


def test_no_tool_started_here_can_reach_a_real_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "https://s3.amazonaws.com")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of somebody")

    with ministack() as aws:
        told = {name: text for name, text in aws.env().items() if name.startswith("AWS_")}

    assert told == {
        "AWS_ENDPOINT_URL": aws.endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }


def test_a_port_that_is_taken_is_told_in_one_line() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])

        done = subprocess.run(
            [*EMULATOR, "--port", port], cwd=ROOT, capture_output=True, text=True, check=False
        )

    assert done.returncode == 1
    why = os.strerror(errno.EADDRINUSE)
    assert done.stderr == f"make run-aws: port {port} of 127.0.0.1 cannot be had: {why}\n"
