"""What a file does not say beyond doubt: asked, proposed, and kept for the report."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Choice:
    """One answer, and how the file reads with it."""

    value: str
    shown: str = ""


@dataclass(frozen=True)
class Question:
    """Something that a person has to decide."""

    flag: str  # of the command, that answers it beforehand
    text: str
    choices: tuple[Choice, ...]  # the proposed one first
    why: str = ""
    is_of_file: bool = False  # one answer is for all columns


class UnansweredError(ValueError):
    """Nobody is there to answer, and nobody said that proposals may be taken."""

    def __init__(self, question: Question) -> None:
        offers = "; ".join(
            f"{one.value}" + (f" reads {one.shown!r}" if one.shown else "")
            for one in question.choices
        )
        super().__init__(
            f"{question.text} Say {question.flag} ({offers}), or --yes to take the first."
        )
        self.question = question


Ask = Callable[[Question], str]


@dataclass
class Answers:
    """Answers, and what was taken without one.

    Args:
        ask: gives the value of a choice, or any other text.
        given: answers of flags, by flag.
    """

    ask: Ask
    given: dict[str, str] = field(default_factory=dict)
    taken: list[str] = field(default_factory=list)  # in words, for the report

    def answer(self, question: Question) -> str:
        """Return the answer of a flag or of a person."""
        if (value := self.given.get(question.flag)) is not None:
            return value
        value = self.ask(question)
        if question.is_of_file:
            self.given[question.flag] = value
        why = f" ({question.why})" if question.why else ""
        self.taken.append(f"{question.text} {question.flag} {value}{why}")
        return value

    def assume(self, text: str) -> None:
        """Keep something that was taken as it is, because only one reading fits."""
        if text not in self.taken:
            self.taken.append(text)


def take_first(question: Question) -> str:
    """Take what is proposed."""
    return question.choices[0].value


def refuse(question: Question) -> str:
    """Take nothing.

    Raises:
        UnansweredError: always.
    """
    raise UnansweredError(question)


def choice_list(values: Sequence[str], first: str) -> tuple[Choice, ...]:
    """Return choices with the proposed one in front."""
    return tuple(Choice(value) for value in sorted(values, key=lambda value: value != first))
