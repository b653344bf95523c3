"""What went wrong, as an exit code and one line. A traceback is for who asks for it."""

import re
from enum import IntEnum


class ExitCode(IntEnum):
    """What the shell gets."""

    OK = 0
    NO = 1  # the answer is no: not found, not the same, not healthy
    USAGE = 2  # the command or a setting is wrong
    UNREACHABLE = 3
    INTERRUPTED = 130


class CommandError(Exception):
    """A command cannot do what it was asked; the text is for the person who asked."""

    def __init__(self, text: str, code: ExitCode = ExitCode.NO) -> None:
        super().__init__(text)
        self.code = code


def outcome_of(error: BaseException) -> tuple[ExitCode, str]:
    """Return the exit code of an error and what to tell.

    >>> outcome_of(CommandError("no such item"))
    (<ExitCode.NO: 1>, 'no such item')
    """
    if isinstance(error, CommandError):
        return error.code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return ExitCode.INTERRUPTED, "interrupted"
    if (ended := _what_ended(error)) is not None:
        return ExitCode.UNREACHABLE, ended
    if (away := _what_is_away(error)) is not None:
        return ExitCode.UNREACHABLE, f"{away}; `tidegate doctor` looks closer"
    if isinstance(error, ValueError | OSError):  # settings, files, arguments: their texts say what
        return ExitCode.USAGE, str(error)
    text = f"{type(error).__name__}: {error}; TIDEGATE_DEBUG=1 shows where it comes from"
    return ExitCode.NO, text


def _what_ended(error: BaseException) -> str | None:
    """Say which server of `tidegate up` ended, with the end of its log."""
    from infra.local.embedded import ServerError

    return str(error) if isinstance(error, ServerError) else None


def _what_is_away(error: BaseException) -> str | None:
    """Say which server did not answer, if that is what the error means."""
    # Loaded here: a command that fails on its flags has no need of either client.
    from aiokafka.errors import KafkaError
    from redis.exceptions import RedisError

    from infra.kafka.topic_admin import TopicError
    from infra.kafka.topic_reader import TopicReadError
    from infra.redis.refusals import explain_refusal
    from infra.replay.log_writer import ReplayError

    if isinstance(error, RedisError):
        return f"Redis: {explain_refusal(error)}"
    if isinstance(error, KafkaError):
        return f"Kafka: {_kafka_text(error)}"
    if isinstance(error, ReplayError | TopicError | TopicReadError):
        return str(error)
    return None


def _kafka_text(error: Exception) -> str:
    """Name the addresses that were tried as people write them.

    >>> _kafka_text(OSError("Unable to bootstrap from [('kafka', 9092, <AddressFamily.AF_INET>)]"))
    'no broker answers at kafka:9092'
    """
    tried = re.findall(r"\('([^']+)', (\d+)", str(error))
    if not tried:
        return str(error)
    return f"no broker answers at {', '.join(f'{host}:{port}' for host, port in tried)}"
