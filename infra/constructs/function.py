"""A function, as every function of ours is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from aws_cdk import Duration, IgnoreMode, RemovalPolicy, Stack, aws_iam, aws_lambda, aws_logs
from constructs import Construct

from infra.config import StageConfig
from infra.constructs.layers import ARCHITECTURE, ROOT, RUNTIME, Layers
from infra.constructs.queues import Queues
from infra.constructs.results import Results
from infra.constructs.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Where a function's code is, and how much of a machine it gets."""

    folder: str
    """Under `functions/`; holds `handler.py`."""
    service: str
    """What it is called in logs and metrics."""
    memory_mb: int
    """CPU comes with it: 1,769 MB are one."""
    timeout: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What every function stands on."""

    table: Table
    queues: Queues
    results: Results
    layers: Layers
    config: StageConfig


class Function(Construct):
    """A function with a role of its own, which may write its own logs and nothing else.

    What else it may do is granted in one place each, beside its memory and its environment.
    """

    def __init__(
        self,
        scope: Construct,
        name: str,
        code: Code,
        *,
        base: Base,
        environment: Mapping[str, str],
    ) -> None:
        super().__init__(scope, name)
        log_group = make_log_group(self, "Logs", config=base.config)
        self.role = aws_iam.Role(
            self, "Role", assumed_by=aws_iam.ServicePrincipal("lambda.amazonaws.com")
        )
        log_group.grant_write(self.role)
        self.resource = aws_lambda.Function(
            self,
            "Function",
            code=aws_lambda.Code.from_asset(
                str(ROOT / "functions" / code.folder),
                exclude=["*", "!handler.py"],
                ignore_mode=IgnoreMode.GIT,
            ),
            handler="handler.lambda_handler",
            runtime=RUNTIME,
            architecture=ARCHITECTURE,
            layers=base.layers.all,
            memory_size=code.memory_mb,
            timeout=Duration.seconds(int(code.timeout.total_seconds())),
            environment={
                "POWERTOOLS_METRICS_NAMESPACE": Stack.of(self).stack_name,
                "POWERTOOLS_SERVICE_NAME": code.service,
                **environment,
            },
            role=self.role,
            log_group=log_group,
        )

    def allow(self, actions: Sequence[str], *resources: str) -> None:
        """Let the function do some actions on some resources."""
        self.role.add_to_principal_policy(
            aws_iam.PolicyStatement(actions=list(actions), resources=list(resources))
        )


def make_log_group(scope: Construct, name: str, *, config: StageConfig) -> aws_logs.LogGroup:
    """Make a log group that keeps its lines as long as the stage says."""
    return aws_logs.LogGroup(
        scope,
        name,
        retention=config.log_retention,
        removal_policy=RemovalPolicy.DESTROY,
    )
