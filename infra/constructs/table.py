"""The table."""

from aws_cdk import RemovalPolicy, aws_dynamodb
from constructs import Construct

from infra.config import StageConfig
from infra.definitions import Attribute, Index, TableDefinition

_TYPES = {"S": aws_dynamodb.AttributeType.STRING, "N": aws_dynamodb.AttributeType.NUMBER}


class Table(Construct):
    """One table, billed by request, that can be restored to any second of the last 35 days.

    It is encrypted under the account's own `aws/dynamodb` key: nobody outside the account can read
    it, and its use is on record in CloudTrail. A key of ours would add a policy to get wrong and a
    way to lose all data at once, and would part no tenant from another, since they share the table.
    """

    def __init__(
        self, scope: Construct, name: str, definition: TableDefinition, *, config: StageConfig
    ) -> None:
        super().__init__(scope, name)
        self.resource = aws_dynamodb.TableV2(
            self,
            "Table",
            partition_key=_attribute(definition.partition_key),
            sort_key=_attribute(definition.sort_key),
            global_secondary_indexes=[_index(index) for index in definition.indexes],
            billing=aws_dynamodb.Billing.on_demand(),
            time_to_live_attribute=definition.ttl_attribute,
            encryption=aws_dynamodb.TableEncryptionV2.aws_managed_key(),
            point_in_time_recovery_specification=aws_dynamodb.PointInTimeRecoverySpecification(
                point_in_time_recovery_enabled=True, recovery_period_in_days=35
            ),
            # In every stage: a table is only ever deleted by somebody who turned this off first.
            deletion_protection=True,
            removal_policy=RemovalPolicy.RETAIN if config.keeps_data else RemovalPolicy.DESTROY,
        )

    def arn_of(self, index: Index) -> str:
        """Return the ARN of one index, for a policy that reaches no other."""
        return f"{self.resource.table_arn}/index/{index.name}"


def _attribute(attribute: Attribute) -> aws_dynamodb.Attribute:
    return aws_dynamodb.Attribute(name=attribute.name, type=_TYPES[attribute.type])


def _index(index: Index) -> aws_dynamodb.GlobalSecondaryIndexPropsV2:
    carries = list(index.carries)
    projection = aws_dynamodb.ProjectionType
    return aws_dynamodb.GlobalSecondaryIndexPropsV2(
        index_name=index.name,
        partition_key=_attribute(index.partition_key),
        sort_key=_attribute(index.sort_key),
        projection_type=projection.INCLUDE if carries else projection.KEYS_ONLY,
        non_key_attributes=carries or None,
    )
