"""How many connections there may be follows from how many files may be open."""

import resource

import pytest

from punctual.adapters.targets.connections import CONNECTIONS_MAX, connections_max

ENDLESS = resource.RLIM_INFINITY


class Limits:
    """The system's limits on open files, and whether it lets them be changed."""

    def __init__(self, soft: int, hard: int, *, fixed: bool = False) -> None:
        self.soft = soft
        self.hard = hard
        self.fixed = fixed

    def getrlimit(self, _: int) -> tuple[int, int]:
        return self.soft, self.hard

    def setrlimit(self, _: int, limits: tuple[int, int]) -> None:
        if self.fixed:
            raise ValueError("not allowed to raise maximum limit")
        self.soft, self.hard = limits


@pytest.mark.parametrize(
    ("limits", "allowed", "soft"),
    [
        (Limits(1024, 1024), 448, 1024),
        (Limits(1024, 4096), 1984, 4096),
        (Limits(1024, 1_048_576), CONNECTIONS_MAX, 8320),
        (Limits(256, ENDLESS), CONNECTIONS_MAX, 8320),
        (Limits(256, ENDLESS, fixed=True), 64, 256),
        (Limits(65_536, 65_536), CONNECTIONS_MAX, 65_536),
        (Limits(ENDLESS, ENDLESS), CONNECTIONS_MAX, ENDLESS),
        (Limits(64, 64), 1, 64),
    ],
)
def test_the_limit_on_files_is_raised_as_far_as_need_be_and_half_of_them_carry_calls(
    limits: Limits, allowed: int, soft: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hard = limits.hard
    monkeypatch.setattr(resource, "getrlimit", limits.getrlimit)
    monkeypatch.setattr(resource, "setrlimit", limits.setrlimit)

    assert connections_max() == allowed

    assert (limits.soft, limits.hard) == (soft, hard)
