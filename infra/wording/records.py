"""What to do about records that were not counted, by their code."""

LATE = "late"
"""The code of a record that came after the grace."""

_TIMES = "its producer has to write times as RFC 3339 or as milliseconds since 1970"
_ADVICE = {
    LATE: (
        "it came later than grace_seconds and is not counted: send a catalog or campaign line "
        "again with a newer time, else count the stock of its item again; mend the delay or the "
        "clock of its source"
    ),
    "wrong_key": (
        "its producer has to use the sku as key and Kafka's own partitioner (librdkafka: "
        "partitioner=murmur2_random); then: tidegate dlt replay --code wrong_key"
    ),
    "reused_id": (
        "its producer has to give each event an event_id of its own; "
        "tidegate dlt replay --value sends a corrected one"
    ),
    "time_in_seconds": _TIMES,
    "time_in_microseconds": _TIMES,
    "time_in_nanoseconds": _TIMES,
    "bad_timestamp": _TIMES,
    "time_out_of_range": _TIMES,
    "far_future": "the clock of its producer is ahead: set it; then: tidegate dlt replay",
}
_MEND = "its message says what is wrong: mend its producer; then: tidegate dlt replay"


def advice_for(code: str) -> str:
    """Return what to do about records of a code.

    >>> advice_for("not_json")
    'its message says what is wrong: mend its producer; then: tidegate dlt replay'
    """
    return _ADVICE.get(code, _MEND)
