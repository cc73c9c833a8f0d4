"""What one attempt sends to an AWS service."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from punctual.core.aws_targets import AwsTarget, filled
from punctual.core.instants import format_instant
from punctual.core.templates import values_of


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCall:
    """One attempt's request to an AWS service, its templates filled."""

    tenant: str
    """Whose run it is: a role is assumed in the tenant's name only."""
    job_id: str
    run_id: str
    scheduled_at: datetime
    attempt: int
    """Number of the attempt, from 1."""
    target: AwsTarget = field(repr=False)
    failed_with: tuple[str, ...] = ()
    """Error types of the attempts before it whose failure is on record."""
    timeout: timedelta
    """Total deadline of the attempt, from launch to the end of what it waits for."""

    @property
    def labels(self) -> dict[str, str]:
        """What travels with the call where the service has room for it, as with HTTP calls."""
        return {
            "Punctual-Job-Id": self.job_id,
            "Punctual-Run-Id": self.run_id,
            "Punctual-Scheduled-At": format_instant(self.scheduled_at),
            "Punctual-Attempt": str(self.attempt),
        }


def aws_call(
    target: AwsTarget,
    *,
    tenant: str,
    run_id: str,
    job_id: str,
    scheduled_at: datetime,
    attempt: int,
    failed_with: Sequence[str],
    timeout: timedelta,
) -> AwsCall:
    """Make the request of one attempt; see `AwsCall` for what the arguments mean."""
    assert attempt >= 1, "attempts are counted from 1"
    values = values_of(run_id=run_id, job_id=job_id, scheduled_at=scheduled_at, attempt=attempt)
    return AwsCall(
        tenant=tenant,
        job_id=job_id,
        run_id=run_id,
        scheduled_at=scheduled_at,
        attempt=attempt,
        target=filled(target, values),
        failed_with=tuple(failed_with),
        timeout=timeout,
    )
