"""Every command that the documentation shows is run, as it stands there."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.host import PUNCTUAL, environment, host
from tests.support.sinks import ROOT

pytestmark = pytest.mark.e2e

ADDRESS = "127.0.0.1:8400"

RUN_WITHIN_SECONDS = 30


def commands(document: str) -> list[str]:
    """Return the lines of a document's `sh` blocks."""
    text = (ROOT / document).read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line.strip()]


def test_the_readme_creates_a_job_and_watches_it_run_in_five_lines_of_curl() -> None:
    curls = [line for line in commands("README.md") if line.startswith("curl ")]

    assert len(curls) == 5
    assert all(ADDRESS in line for line in curls)
    assert any("-X PUT" in line or "-X POST" in line for line in curls)
    assert any("/runs" in line for line in curls)


@pytest.mark.parametrize("document", ["README.md", "docs/cli.md"])
def test_every_command_shown_works(document: str, tmp_path: Path) -> None:
    shown = commands(document)
    assert shown, f"{document} shows no commands"

    with host(tmp_path) as running:
        here = running.api.url.removeprefix("http://")
        for command in shown:
            output = carry_out(command.replace(ADDRESS, here), folder=tmp_path, url=running.api.url)
            assert '"status":4' not in output, (command, output)
            assert '"status":5' not in output, (command, output)


def carry_out(command: str, *, folder: Path, url: str) -> str:
    """Run a command as a shell does; one that looks at runs is repeated until one succeeded."""
    path = f"{PUNCTUAL.parent}{os.pathsep}{os.environ['PATH']}"
    give_up_at = time.monotonic() + RUN_WITHIN_SECONDS
    while True:
        done = subprocess.run(
            ["sh", "-c", command.replace(".venv/bin/punctual", "punctual")],
            env=environment(PUNCTUAL_URL=url, PATH=path),
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, ""), (command, done)
        looks_at_runs = "/runs" in command or "runs list" in command
        if not looks_at_runs or "succeeded" in done.stdout:
            return done.stdout
        assert time.monotonic() < give_up_at, f"no run succeeded: {command}: {done.stdout}"
        time.sleep(0.2)
