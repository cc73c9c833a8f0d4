"""The bucket of results that are too long for the records of their runs."""

from datetime import timedelta

from aws_cdk import Duration, RemovalPolicy, aws_s3
from constructs import Construct

from infra.config import StageConfig

RESULT_KEPT = timedelta(days=32)
"""From its last writing on: two days longer than any run that names it."""

PREFIX = "results/"
"""What the key of every result begins with."""


class Results(Construct):
    """A bucket that nobody outside the account reads, and that empties itself.

    It is encrypted under S3's own keys, for the reasons that the table is not under one of ours.
    """

    def __init__(self, scope: Construct, name: str, *, config: StageConfig) -> None:
        super().__init__(scope, name)
        self.resource = aws_s3.Bucket(
            self,
            "Bucket",
            encryption=aws_s3.BucketEncryption.S3_MANAGED,
            block_public_access=aws_s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=aws_s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            lifecycle_rules=[aws_s3.LifecycleRule(expiration=Duration.days(RESULT_KEPT.days))],
            removal_policy=RemovalPolicy.RETAIN if config.keeps_data else RemovalPolicy.DESTROY,
        )

    @property
    def objects_arn(self) -> str:
        """What results are called in policies."""
        return self.resource.arn_for_objects(f"{PREFIX}*")
