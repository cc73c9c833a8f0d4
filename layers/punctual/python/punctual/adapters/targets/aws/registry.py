"""Every type of AWS target."""

from collections.abc import Mapping

from punctual.adapters.targets.aws.eventbridge import EVENTBRIDGE
from punctual.adapters.targets.aws.kinds import Kind
from punctual.adapters.targets.aws.lambda_ import LAMBDA
from punctual.adapters.targets.aws.sns import SNS
from punctual.adapters.targets.aws.sqs import SQS
from punctual.adapters.targets.aws.step_functions import STEP_FUNCTIONS
from punctual.core.aws_targets import (
    AwsTarget,
    EventBridgeTarget,
    LambdaTarget,
    SnsTarget,
    SqsTarget,
    StepFunctionsTarget,
)

KINDS: Mapping[type[AwsTarget], Kind] = {
    LambdaTarget: LAMBDA,
    SqsTarget: SQS,
    SnsTarget: SNS,
    EventBridgeTarget: EVENTBRIDGE,
    StepFunctionsTarget: STEP_FUNCTIONS,
}
