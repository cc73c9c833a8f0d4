"""What AWS allows and how long it takes, each figure with its source.

The limits are those that AWS publishes. The latencies are measurements that others published, or,
where there is none, assumptions that say so. `docs/benchmarks-scale.md` has them as a table.
"""

from benchmarks.scale.latencies import LogNormal, Quantiles

# DynamoDB.

PARTITION_WRITES = 1000
"""Write units a second of one partition, of a table or an index.

AWS, DynamoDB developer guide, "Partitions and data distribution".
"""

PARTITION_READS = 3000
"""Read units a second of one partition; the same source."""

NEW_TABLE_WRITES = 4000
"""Write units a second that a new on-demand table, and each of its indexes, takes from its first
moment: four partitions. AWS, DynamoDB developer guide, "On-demand capacity mode".
"""

TABLE_WRITES_MAX = 40_000
"""Write units a second of one on-demand table, unless AWS is asked for more; service quotas."""

WRITE_ONE = Quantiles(((0.5, 7.55), (0.9, 11.3), (0.95, 13.2), (0.99, 16.2)))
"""One item, by PutItem, as a Lambda function sees it, network included.

github.com/alexdebrie/dynamodb-performance-testing: 400 requests, us-east-1, 2020. Reads, which are
faster, are drawn from it too.
"""

WRITE_FEW = Quantiles(((0.5, 8.14), (0.9, 13.3), (0.95, 15.4), (0.99, 25.5)))
"""BatchWriteItem of five items; the same source. For batches of PartiQL there is no measurement."""

WRITE_MANY = Quantiles(((0.5, 10.2), (0.9, 16.0), (0.95, 18.0), (0.99, 27.6)))
"""BatchWriteItem of 25 items; the same source."""

FEW = 5
"""Items up to which a batch takes as long as one of five."""

INDEX_LAG = LogNormal(p50=50, p99=500)
"""How far an index is behind its table. Assumed: AWS says a fraction of a second, normally."""

# SQS.

IN_FLIGHT_MAX = 120_000
"""Messages of one standard queue that are received and not deleted; SQS quotas."""

QUEUE_REQUEST = LogNormal(p50=8, p99=50)
"""A send, a delete, a change of visibility. Assumed: half of what `DELIVERY` measured, which is a
send and what follows it."""

DELIVERY = Quantiles(((0.1, 13.7), (0.5, 16.2), (0.9, 33.8), (0.99, 105.0)))
"""From a message in a standard queue to the first line of a warm function behind it.

bitesizedserverless.com, "Serverless Messaging: Latency Compared": 1,024 messages, eu-west-1, 2022.
It counts the send too, so it is too long rather than too short.
"""

DELIVERY_FIFO = Quantiles(((0.1, 21.9), (0.5, 28.1), (0.9, 61.2), (0.99, 645.0)))
"""The same of a FIFO queue; the same source."""

# Lambda.

STANDARD_START = 5
"""Batches at a time with which an event source begins."""

STANDARD_GROWTH = 300 / 60
"""Further batches at a time, each second, while messages wait."""

STANDARD_MAX = 1250
"""Batches at a time of one event source in standard mode.

These three: AWS, Lambda developer guide, "Configuring scaling behavior for SQS event source
mappings".
"""

STANDARD_FORGETS = 30_000
"""Milliseconds without a message after which a source begins anew with `STANDARD_START`. Assumed:
AWS says that it scales back when traffic is low, not when."""

POLLER_INVOKES = 10
"""Batches at a time of one provisioned poller; the same guide, "Provisioned mode"."""

POLLER_RECEIVES = 10
"""Requests for messages, each second, of one provisioned poller; the same."""

POLLER_GROWTH = 1000 / POLLER_INVOKES / 60
"""Further pollers, each second, while messages wait; the same."""

CONCURRENCY = 1000
"""Executions at a time of all functions of an account, unless AWS is asked for more; quotas."""

ENVIRONMENTS_GROWTH = 1000
"""Environments that a function may add within `GROWTH_SECONDS`; the guide, "Scaling behavior"."""

GROWTH_SECONDS = 10

MEMORY_OF_A_CPU = 1769
"""Megabytes with which a function has one vCPU; with fewer it has as much less. The guide,
"Configure Lambda function memory"."""

COLD_START = LogNormal(p50=600, p99=1200)
"""From an invocation without a free environment to the first line of its handler.

Assumed: 150 ms for Python 3.13 itself (400 ms at its p99, git.mcrn.ar/mariano/lambda_local_runner,
2026), 300 ms for our imports and clients (`make bench-aws ARGS=imports` has 0.2 s of CPU before the
first call), and the first connections.
"""

TICK_DELAY = 60_000
"""Milliseconds within which EventBridge Scheduler calls the tick after its minute begins: evenly
spread over all that AWS allows itself. EventBridge Scheduler user guide, "Schedule types"."""

# What our code takes of a vCPU. A run takes an executor 0.46 ms by `make bench-aws ARGS=execute` on
# this machine while others used it. These three make it 0.9, for a core that may be slower, and for
# TLS, which is not in that figure.

REQUEST_CPU = 0.4
"""Milliseconds of one request to AWS, signature included: 0.19 against canned answers."""

ENTRY_CPU = 0.08
"""Milliseconds of each entry of a batch, our own code around it included: 0.013 of it are
botocore's."""

CALL_CPU = 0.3
"""Milliseconds of one call to a target until it has left; a whole call takes 0.09 without TLS."""
