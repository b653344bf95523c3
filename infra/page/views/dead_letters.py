"""The newest records that were bad or came too late."""

from infra.page.contracts import DeadLetterRow, DeadLetters, PageQuery
from infra.page.snapshot import Snapshot
from infra.page.views.now import records_by_topic
from infra.wording.records import LATE, advice_for
from streams.shard.folding import DEAD_LETTERED
from streams.timestamps import LATEST_MS


def dead_letters(snapshot: Snapshot, query: PageQuery) -> DeadLetters:
    """Return the part that is asked for, the newest first."""
    shown = snapshot.dead_letters[query.offset : query.offset + query.limit]
    return DeadLetters(
        by_topic=records_by_topic(snapshot, DEAD_LETTERED),
        late_by_topic=records_by_topic(snapshot, LATE),
        total=len(snapshot.dead_letters),
        offset=query.offset,
        dead_letters=[
            DeadLetterRow(
                topic=one.topic,
                partition=one.partition,
                offset=one.offset,
                written_ms=one.written_ms if 0 < one.written_ms <= LATEST_MS else None,
                code=one.code,
                message=one.message,
                advice=advice_for(one.code),
                key=one.key,
                value=one.value,
            )
            for one in shown
        ],
    )
