"""The newest records that nobody could use."""

from infra.page.contracts import DeadLetterRow, DeadLetters, PageQuery
from infra.page.snapshot import Snapshot
from infra.page.views.now import dead_letters_by_topic
from streams.timestamps import LATEST_MS


def dead_letters(snapshot: Snapshot, query: PageQuery) -> DeadLetters:
    """Return the part that is asked for, the newest first."""
    shown = snapshot.dead_letters[query.offset : query.offset + query.limit]
    return DeadLetters(
        by_topic=dead_letters_by_topic(snapshot),
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
                key=one.key,
                value=one.value,
            )
            for one in shown
        ],
    )
