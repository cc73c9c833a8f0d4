"""The one stack: constructs joined; what they are is decided in each of them."""

from aws_cdk import CfnOutput, Stack
from constructs import Construct

from infra.config import StageConfig
from infra.constructs.alarms import Alarms
from infra.constructs.dashboard import Dashboard
from infra.constructs.dispatcher import Dispatcher
from infra.constructs.executor import Executor
from infra.constructs.function import Base
from infra.constructs.http_api import HttpApi
from infra.constructs.layers import Layers
from infra.constructs.queues import Queues, admit_only
from infra.constructs.results import Results
from infra.constructs.table import Table
from infra.constructs.ticker import Ticker
from infra.constructs.undertaker import Undertaker
from infra.definitions import FAST_TIMEOUT, SLOW_TIMEOUT, TABLE


class PunctualStack(Stack):
    """All of Punctual, for one stage."""

    def __init__(self, scope: Construct, name: str, *, config: StageConfig) -> None:
        super().__init__(
            scope,
            name,
            description="Punctual, a job scheduler",
            termination_protection=config.keeps_data,
        )
        self.config = config
        self.table = Table(self, "Table", TABLE, config=config)
        self.queues = Queues(self, "Queues")
        self.results = Results(self, "Results", config=config)
        base = Base(
            table=self.table,
            queues=self.queues,
            results=self.results,
            layers=Layers(self, "Layers", config=config),
            config=config,
        )
        self.api = HttpApi(self, "Api", base)
        public_url = config.public_url or self.api.stage.url
        self.ticker = Ticker(self, "Ticker", base)
        self.dispatcher = Dispatcher(self, "Dispatcher", base)
        self.fast = Executor(
            self,
            "Fast",
            base,
            lane="fast",
            queue=self.queues.fast,
            timeout=FAST_TIMEOUT,
            public_url=public_url,
            pollers=config.fast_pollers,
        )
        self.slow = Executor(
            self,
            "Slow",
            base,
            lane="slow",
            queue=self.queues.slow,
            timeout=SLOW_TIMEOUT,
            public_url=public_url,
        )
        self.undertaker = Undertaker(self, "Undertaker", base)
        self.functions = [
            part.function
            for part in (
                self.api,
                self.ticker,
                self.dispatcher,
                self.fast,
                self.slow,
                self.undertaker,
            )
        ]
        self._close_queues(config)
        self.alarms = Alarms(self, "Alarms", queues=self.queues, config=config)
        Dashboard(self, "Health", queues=self.queues, dispatch=self.dispatcher.function)
        self._outputs()

    def _close_queues(self, config: StageConfig) -> None:
        """Let each queue be written to by the functions that do, and by nobody else."""
        api, tick, dispatch = (
            part.function.role for part in (self.api, self.ticker, self.dispatcher)
        )
        buriers = [part.function.role for part in (self.fast, self.slow, self.undertaker)]
        for queue, senders in (
            (self.queues.fast, [api, dispatch]),
            (self.queues.slow, [api, dispatch]),
            (self.queues.shards, [tick]),
            (self.queues.exhausted, []),
            (self.queues.dead_letters, buriers),
        ):
            admit_only(senders, to=queue, operator_role_arns=config.operator_role_arns)

    def _outputs(self) -> None:
        """Say what a user of the API and an operator need to know."""
        for name, value in {
            "ApiUrl": self.api.stage.url,
            "TableName": self.table.resource.table_name,
            "ResultsBucketName": self.results.resource.bucket_name,
            "FastQueueUrl": self.queues.fast.queue_url,
            "SlowQueueUrl": self.queues.slow.queue_url,
            "ShardQueueUrl": self.queues.shards.queue_url,
            "ExhaustedQueueUrl": self.queues.exhausted.queue_url,
            "DeadLettersQueueUrl": self.queues.dead_letters.queue_url,
            "AlarmTopicArn": self.alarms.topic.topic_arn,
            "FastExecutorRoleArn": self.fast.function.role.role_arn,
            "SlowExecutorRoleArn": self.slow.function.role.role_arn,
        }.items():
            CfnOutput(self, name, value=value)
