"""The sink that outlives its callers keeps a record that can be relied on."""

from pathlib import Path
from time import monotonic

import pytest

from punctual.adapters.targets.http import HttpTargets
from tests.support.calls import a_call, answer_to
from tests.support.sinks import sink_process

pytestmark = pytest.mark.emulator


def test_a_sink_process_records_each_request_and_answers_as_it_was_told(
    targets: HttpTargets, tmp_path: Path
) -> None:
    options = ("--delay", "0.2", "--status", "202", "--body", "taken")
    with sink_process(tmp_path / "log", *options) as target:
        assert target.requests() == []
        began = monotonic()

        given = answer_to(targets, a_call(f"{target.url}/hook?a=1", body=b"\x00\xff\n"))

        assert monotonic() - began >= 0.2
        assert (given.status_code, given.body) == (202, b"taken")
        (request,) = target.requests()
    assert (request.method, request.target, request.body) == ("POST", "/hook?a=1", b"\x00\xff\n")
    assert request.header("User-Agent") == "Punctual"
    assert request.at.tzinfo is not None
