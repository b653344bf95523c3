"""Who is in the consumer group: the workers that run, also those that have nothing to do."""

from aiokafka.admin import AIOKafkaAdminClient

from infra.kafka.options import client_options
from infra.settings import Settings


async def group_members(settings: Settings) -> list[str]:
    """Return the members of the workers' consumer group.

    A worker that was killed is a member until `session_timeout_seconds` have passed.

    Raises:
        KafkaError: no broker answers.
    """
    client = AIOKafkaAdminClient(**client_options(settings))
    await client.start()
    try:
        replies = await client.describe_consumer_groups([settings.group_id])
    finally:
        await client.close()
    return [
        str(member["member_id"])
        for reply in replies
        for group in reply.to_object()["groups"]
        for member in group["members"]
    ]
