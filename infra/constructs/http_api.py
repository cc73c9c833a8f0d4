"""The API: the gateway, who may call it, and the function behind it."""

import json

from aws_cdk import Stack, aws_apigatewayv2, aws_secretsmanager
from aws_cdk.aws_apigatewayv2_authorizers import HttpIamAuthorizer, HttpJwtAuthorizer
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra.config import Jwt, StageConfig
from infra.constructs.function import Base, Code, Function, make_log_group
from infra.definitions import API_TIMEOUT, JOBS

API = Code(folder="api", service="api", memory_mb=1024, timeout=API_TIMEOUT)

ACCESS_LOG = json.dumps(
    {
        "at": "$context.requestTime",
        "request_id": "$context.requestId",
        "caller": "$context.identity.userArn",
        "source_ip": "$context.identity.sourceIp",
        "method": "$context.httpMethod",
        "path": "$context.path",
        "status": "$context.status",
        "bytes": "$context.responseLength",
        "milliseconds": "$context.responseLatency",
        "error": "$context.error.message",
        "integration_error": "$context.integrationErrorMessage",
    }
)
"""One line for each request: who, what, how it ended. No body and no header."""


REPORTS = ("complete", "fail", "heartbeat", "logs")
"""What the target of a run reports, under the run's own path."""


class HttpApi(Construct):
    """An HTTP API whose every route goes to one function, for callers that were identified.

    Only what targets report about their runs is let through to the function as it comes: it brings
    the token of its attempt, which the function alone can check.
    """

    def __init__(self, scope: Construct, name: str, base: Base) -> None:
        super().__init__(scope, name)
        # Signs the cursors of lists, so that none is made up; it is made here and seen by nobody.
        self.cursor_secret = aws_secretsmanager.Secret(
            self,
            "CursorSecret",
            description="Signs the cursors of Punctual's lists",
            generate_secret_string=aws_secretsmanager.SecretStringGenerator(
                password_length=64, exclude_punctuation=True
            ),
        )
        self.function = self._function(base)
        integration = HttpLambdaIntegration("Function", self.function.resource)
        self.gateway = aws_apigatewayv2.HttpApi(
            self,
            "Gateway",
            api_name=Stack.of(self).stack_name,  # it must have one, and only people read it
            description="Punctual",
            create_default_stage=False,
            default_authorizer=_authorizer(base.config.jwt),
            default_integration=integration,
        )
        self.reports = [
            route
            for report in REPORTS
            for route in self.gateway.add_routes(
                path=f"/v1/runs/{{run_id}}/{report}",
                methods=[aws_apigatewayv2.HttpMethod.POST],
                integration=integration,
                authorizer=aws_apigatewayv2.HttpNoneAuthorizer(),
            )
        ]
        self.stage = self._stage(base.config)

    def _function(self, base: Base) -> Function:
        environment = {
            "TABLE_NAME": base.table.resource.table_name,
            "FAST_QUEUE_URL": base.queues.fast.queue_url,
            "SLOW_QUEUE_URL": base.queues.slow.queue_url,
            "CURSOR_SECRET_ARN": self.cursor_secret.secret_arn,
            "RESULTS_BUCKET": base.results.resource.bucket_name,
        }
        if base.config.jwt is not None:
            environment["MANY_TENANTS"] = "true"
            environment["TENANT_CLAIM"] = base.config.jwt.tenant_claim
        if base.config.on_this_machine:
            environment["ALLOW_PRIVATE_TARGETS"] = "true"
        function = Function(self, "Api", API, base=base, environment=environment)
        table = base.table.resource.table_arn
        function.allow(["dynamodb:Query"], table, base.table.arn_of(JOBS))
        function.allow(
            [
                "dynamodb:BatchGetItem",
                "dynamodb:BatchWriteItem",
                "dynamodb:DeleteItem",
                "dynamodb:PartiQLDelete",
                "dynamodb:PartiQLInsert",
                "dynamodb:PartiQLUpdate",
                "dynamodb:PutItem",
                "dynamodb:UpdateItem",
            ],
            table,
        )
        function.allow(
            ["sqs:GetQueueAttributes", "sqs:SendMessage"],  # the attributes for its health
            base.queues.fast.queue_arn,
            base.queues.slow.queue_arn,
        )
        function.allow(["secretsmanager:GetSecretValue"], self.cursor_secret.secret_arn)
        # Targets that report back bring results, too; and S3 tells nobody who may not list them
        # that one is gone.
        function.allow(["s3:GetObject", "s3:PutObject"], base.results.objects_arn)
        function.allow(["s3:ListBucket"], base.results.resource.bucket_arn)
        return function

    def _stage(self, config: StageConfig) -> aws_apigatewayv2.HttpStage:
        stage = aws_apigatewayv2.HttpStage(
            self,
            "Stage",
            http_api=self.gateway,
            auto_deploy=True,
            detailed_metrics_enabled=True,
            throttle=aws_apigatewayv2.ThrottleSettings(
                rate_limit=config.api_requests_per_second, burst_limit=config.api_burst
            ),
        )
        logs = make_log_group(self, "AccessLog", config=config)
        # The stage's own property for this takes an object that Python cannot make.
        resource = stage.node.default_child
        assert isinstance(resource, aws_apigatewayv2.CfnStage)
        resource.access_log_settings = aws_apigatewayv2.CfnStage.AccessLogSettingsProperty(
            destination_arn=logs.log_group_arn, format=ACCESS_LOG
        )
        return stage


def _authorizer(jwt: Jwt | None) -> aws_apigatewayv2.IHttpRouteAuthorizer:
    if jwt is None:
        return HttpIamAuthorizer()
    return HttpJwtAuthorizer("Jwt", jwt.issuer, jwt_audience=list(jwt.audience))
