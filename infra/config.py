"""What differs from stage to stage; all else is the same everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass

from aws_cdk.aws_logs import RetentionDays


@dataclass(frozen=True, slots=True, kw_only=True)
class Jwt:
    """Callers of the API bring tokens of this issuer, in place of signatures of the account's."""

    issuer: str
    """Address of the issuer, whose `/.well-known/openid-configuration` names its keys."""
    audience: tuple[str, ...]
    tenant_claim: str = "tenant"
    """The claim that names whose jobs the caller may see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pollers:
    """Pollers kept ready for a run queue, each for 100 messages a second and ten executors.

    Each costs $6.75 a month. Without them Lambda starts with five executors and adds five a
    second, so that a wall of 60,000 runs at one minute takes half a minute to start.
    """

    least: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageConfig:
    """One stage of a deployment."""

    name: str
    shards_per_message: int
    """Shards, of 64, that one message of the tick covers: with 16, four dispatchers work side by
    side, with 1, 64. May be changed at any time, as no job ever changes its shard."""
    executors_max: int
    """Executors of one lane at a time, each with up to ten runs; pollers bring their own bound."""
    fast_pollers: Pollers | None = None
    keeps_data: bool
    """Whether the table outlives the stack."""
    log_retention: RetentionDays
    api_requests_per_second: int
    api_burst: int
    """Requests of one moment; beyond rate and burst the gateway answers 429."""
    jwt: Jwt | None = None
    """None: requests are signed with AWS credentials (SigV4), and the account is the tenant."""
    public_url: str | None = None
    """Where targets that report back reach the API, such as a domain of your own; None: where the
    gateway itself is."""
    alarm_email: str | None = None
    """Who is told of alarms; others may subscribe to the stack's topic."""
    target_accounts: tuple[str, ...] = ()
    """Other accounts in which there are roles that AWS targets are called as; each such role
    demands the tenant's external id all the same."""
    operator_role_arns: tuple[str, ...] = ()
    """Roles of people who may put messages into the queues by hand, to redrive them."""
    on_this_machine: bool = False
    """Whether it is deployed to an emulated AWS: layers are built for this machine, and targets
    may have private addresses."""


STAGES: Mapping[str, StageConfig] = {
    stage.name: stage
    for stage in (
        StageConfig(
            name="dev",
            shards_per_message=16,
            executors_max=50,
            keeps_data=False,
            log_retention=RetentionDays.ONE_WEEK,
            api_requests_per_second=50,
            api_burst=100,
        ),
        StageConfig(
            name="prod",
            shards_per_message=1,
            # Together up to 700, of the 1,000 executions that an account has for all its functions.
            executors_max=200,
            fast_pollers=Pollers(least=10, most=50),
            keeps_data=True,
            log_retention=RetentionDays.THREE_MONTHS,
            api_requests_per_second=1_000,
            api_burst=2_000,
        ),
        StageConfig(
            name="local",
            shards_per_message=16,
            executors_max=3,
            keeps_data=False,
            log_retention=RetentionDays.ONE_WEEK,
            api_requests_per_second=1_000,
            api_burst=2_000,
            on_this_machine=True,
        ),
    )
}
"""Every stage by its name."""
