"""Questions to the person at the terminal, with a proposal."""

import sys

from infra.cli.terminal.output import note
from infra.connect.guessing.answers import Ask, Question, refuse, take_first


def asker(*, yes: bool) -> Ask:
    """Return who answers: the proposals, the person at the terminal, or nobody."""
    if yes:
        return take_first
    return _ask if sys.stdin.isatty() else refuse


def _ask(question: Question) -> str:
    """Show the choices and take one, or any other text.

    Raises:
        KeyboardInterrupt: the person has left.
    """
    note(question.text + (f" ({question.why})" if question.why else ""))
    for number, choice in enumerate(question.choices, 1):
        shown = f"   {choice.shown}" if choice.shown else ""
        note(f"  {number}  {choice.value}{shown}")
    try:
        text = input(f"number or other value [1 = {question.choices[0].value}]: ").strip()
    except EOFError:
        raise KeyboardInterrupt from None
    if not text:
        return question.choices[0].value
    if text.isdigit() and 1 <= int(text) <= len(question.choices):
        return question.choices[int(text) - 1].value
    return text


def confirm(text: str, *, yes: bool) -> bool:
    """Ask whether to go on; where nobody can be asked, only `yes` does."""
    if yes or not sys.stdin.isatty():
        return yes
    try:
        return input(f"{text} [Y/n] ").strip().casefold() in ("", "y", "yes", "j", "ja", "o", "oui")
    except EOFError:
        return False
