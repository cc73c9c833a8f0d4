"""The functions as they are put together in the cloud."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.support.functions_on_moto import SECRET, Cloud, a_cloud

Counted = Callable[[], Mapping[str, float]]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Cloud]:
    """A deployment on moto; the function is named for the module that tests it."""
    with a_cloud(monkeypatch, service=request.module.SERVICE) as cloud:
        yield cloud


@pytest.fixture
def counted(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Counted:
    """What the invocation was counted by; nothing of it tells jobs, runs or tenants apart."""

    def read() -> Mapping[str, float]:
        written = capsys.readouterr()
        assert SECRET not in written.out + written.err, "payloads are never logged"
        assert SECRET not in str([vars(record) for record in caplog.records])
        lines = [json.loads(line) for line in written.out.splitlines()]
        metrics: list[dict[str, Any]] = [line for line in lines if "_aws" in line]
        sums: dict[str, float] = {}
        for line in metrics:
            (directive,) = line["_aws"]["CloudWatchMetrics"]
            assert directive["Namespace"] == "Punctual"
            assert directive["Dimensions"] == [["service"]]
            names = [metric["Name"] for metric in directive["Metrics"]]
            assert set(line) == {"_aws", "service", *names}, "no metadata either"
            for name in names:
                sums[name] = sums.get(name, 0) + sum(line[name])
        return sums

    return read
